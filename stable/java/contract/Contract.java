package io.kubeless;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Does what its data says. Java has no JSON library: regular expressions read what the suite sends. */
public class Contract {
    private static final Pattern OPERATION =
            Pattern.compile("\\s*\\{.*\"do\"\\s*:\\s*\"(\\w+)\".*\\}\\s*", Pattern.DOTALL);
    private static final Pattern ESCAPE = Pattern.compile("\\\\(?:u(\\p{XDigit}{4})|(.))");

    public Object handler(Event event, Context context) throws Exception {
        if (event.Data.isEmpty()) {
            return "hello world";
        }
        Matcher operation = OPERATION.matcher(event.Data);
        return operation.matches() ? act(operation.group(1), event, context) : event.Data;
    }

    private static Object act(String operation, Event event, Context context) throws Exception {
        String data = event.Data;
        switch (operation) {
            case "echo":
                return text(member(data, "value"));
            case "event":
                return object("event-id", event.EventID, "event-type", event.EventType,
                        "event-time", event.EventTime, "event-namespace", event.EventNamespace);
            case "context":
                return object("function-name", context.FunctionName, "timeout", context.Timeout,
                        "runtime", context.Runtime, "memory-limit", context.MemoryLimit);
            case "sleep":
                Thread.sleep((long) (1000 * number(data, "seconds")));
                return "slept";
            case "spin":
                while (true) { }
            case "fail":
                throw new IllegalStateException("contract: failing on purpose");
            case "exit":
                System.exit(3);
                return "not exited";
            case "crash":
                return new ProcessBuilder("sh", "-c", "kill -KILL $PPID").start().waitFor();
            case "big":
                return "x".repeat((int) number(data, "bytes"));
            case "bytes":
                byte[] bytes = new byte[256];
                for (int i = 0; i < bytes.length; i++) {
                    bytes[i] = (byte) i;
                }
                return bytes;
            case "print":
                System.out.println(text(member(data, "text")));
                return "printed";
            case "flood":
                return flood((int) number(data, "bytes"));
            case "write":
                return write(Path.of(text(member(data, "path"))));
            default:
                throw new IllegalArgumentException("contract: no operation " + operation);
        }
    }

    private static String flood(int bytes) {
        PrintStream out = System.out;
        for (int left = bytes; left > 0; left -= 1000) {
            out.println("x".repeat(Math.min(left, 1000)));
        }
        return "flooded";
    }

    private static String write(Path path) {
        try {
            Files.writeString(path, "written by the contract function\n");
            return "written";
        } catch (IOException e) {
            return "refused";
        }
    }

    private static double number(String object, String name) {
        Matcher number = Pattern.compile("\"" + name + "\"\\s*:\\s*([-+.\\deE]+)").matcher(object);
        if (!number.find()) {
            throw new IllegalArgumentException("contract: no number " + name);
        }
        return Double.parseDouble(number.group(1));
    }

    /** The JSON text of the object's last member, which must be the named one. */
    private static String member(String object, String name) {
        String expression = "\"" + name + "\"\\s*:\\s*(.*\\S)\\s*\\}\\s*$";
        Matcher member = Pattern.compile(expression, Pattern.DOTALL).matcher(object);
        if (!member.find()) {
            throw new IllegalArgumentException("contract: no member " + name);
        }
        return member.group(1);
    }

    /** What a JSON string says; other JSON as it is. */
    private static String text(String json) {
        if (!json.startsWith("\"")) {
            return json;
        }
        return ESCAPE.matcher(json.substring(1, json.length() - 1)).replaceAll(escape -> Matcher.quoteReplacement(
                escape.group(1) == null ? control(escape.group(2))
                        : Character.toString(Integer.parseInt(escape.group(1), 16))));
    }

    private static String control(String letter) {
        int at = "bfnrt".indexOf(letter);
        return at < 0 ? letter : "\b\f\n\r\t".substring(at, at + 1);
    }

    private static String object(String... namesAndTexts) {
        StringBuilder object = new StringBuilder("{");
        for (int i = 0; i < namesAndTexts.length; i += 2) {
            object.append(i == 0 ? "" : ",").append('"').append(namesAndTexts[i]).append("\":\"")
                    .append(namesAndTexts[i + 1].replace("\\", "\\\\").replace("\"", "\\\"")).append('"');
        }
        return object.append('}').toString();
    }
}
