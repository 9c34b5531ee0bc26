package io.kubeless;

import com.google.gson.JsonObject;

public class HelloWithDeps {
    public String handler(Event event, Context context) {
        JsonObject answer = new JsonObject();
        answer.addProperty("greeting", "hello world");
        return answer.toString();
    }
}
