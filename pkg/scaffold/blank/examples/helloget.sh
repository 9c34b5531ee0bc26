handler() {
	echo hello world
}
