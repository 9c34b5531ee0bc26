package io.kubeless;

public class Broken {
    public String handler(Event event, Context context) {
        // A syntax error: the expression has no end.
        return "hello" +;
    }
}
