package io.kubeless;

public class Slowstart {
    static {
        try {
            Thread.sleep(3000);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    public String handler(Event event, Context context) {
        return "started";
    }
}
