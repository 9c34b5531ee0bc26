// placeholder
package main

func main() {}
