package io.kubeless;

/** What a function is called with. Texts that the client did not send are empty. */
public class Event {
    /** The body of the request, decoded as UTF-8. */
    public String Data;
    public String EventID;
    public String EventType;
    public String EventTime;
    public String EventNamespace;

    public Event(String data, String eventID, String eventType, String eventTime, String eventNamespace) {
        Data = data;
        EventID = eventID;
        EventType = eventType;
        EventTime = eventTime;
        EventNamespace = eventNamespace;
    }
}
