package io.kubeless;

public class Fails {
    static final String GREETING = load();

    private static String load() {
        throw new IllegalStateException("contract: cannot load");
    }

    public String handler(Event event, Context context) {
        return GREETING;
    }
}
