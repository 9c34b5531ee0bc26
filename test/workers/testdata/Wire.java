package io.kubeless;

public class Wire {
    public String handler(Event event, Context context) {
        return "id " + event.EventID;
    }
}
