package io.kubeless;

public class HelloWithData {
    public String handler(Event event, Context context) {
        System.out.println(event.EventID + " " + event.EventType + " " + event.Data);
        return event.Data;
    }
}
