package io.kubeless;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;

public class Wire {
    public String handler(Event event, Context context) throws Exception {
        if ("sum".equals(event.EventID)) {
            byte[] sum = MessageDigest.getInstance("SHA-256").digest(event.Data.getBytes(StandardCharsets.UTF_8));
            return "sum " + HexFormat.of().formatHex(sum);
        }
        return "id " + event.EventID;
    }
}
