package io.kubeless;

public class HelloGet {
    public String handler(Event event, Context context) {
        return "hello world";
    }
}
