import io.kubeless.Context;
import io.kubeless.Event;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.StandardProtocolFamily;
import java.net.URL;
import java.net.URLClassLoader;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * Serves one function to the function proxy: the method FUNC_HANDLER of the
 * class io.kubeless.MOD_NAME. Every connection has a thread, which runs its
 * calls, and the proxy decides how many there are. They are the system's
 * threads, not virtual ones: a busy loop takes the others a share of the CPU,
 * not the thread that they would run on.
 */
public final class Worker implements Runnable {
    private static final Map<String, Call> CALLS = new ConcurrentHashMap<>(); // by the proxy's name for them
    private static final long CANCEL_MILLIS = 800; // the proxy waits for a second
    private static final int MAX_HEAD = 1 << 20; // bytes; the proxy's limit is a small part of it
    private static final int MAX_LINE = 1 << 16; // bytes, of a chunk's size and of trailers
    private static final String TEXT = "Content-Type: text/plain; charset=utf-8\r\n";
    private static final String BYTES = "Content-Type: application/octet-stream\r\n";
    private static final String ABILITIES = "X-Func-Cancel: 1\r\nX-Func-Concurrency: "
            + env("FUNC_WORKER_CONCURRENCY", "256") + "\r\n";

    private final Object instance;
    private final Method method;
    private final SocketChannel channel;
    private final ByteBuffer in = ByteBuffer.allocateDirect(1 << 14).limit(0);
    private final ByteBuffer out = ByteBuffer.allocateDirect(1 << 14);
    private byte[] line = new byte[256];
    private boolean bodiless; // the request is a HEAD

    private Worker(Object instance, Method method, SocketChannel channel) {
        this.instance = instance;
        this.method = method;
        this.channel = channel;
    }

    public static void main(String[] args) throws IOException {
        Object instance = null;
        Method method = null;
        try {
            Class<?> type = load(new File(env("KUBELESS_INSTALL_VOLUME", "/kubeless")), env("MOD_NAME", ""));
            method = type.getMethod(env("FUNC_HANDLER", ""), Event.class, Context.class);
            instance = type.getConstructor().newInstance(); // one for all calls
        } catch (Throwable e) {
            boolean wrapped = e instanceof InvocationTargetException || e instanceof ExceptionInInitializerError;
            (wrapped && e.getCause() != null ? e.getCause() : e).printStackTrace();
            System.exit(1); // the function may have started threads
        }
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(System.getenv("FUNC_SOCKET")), 1024);
        ExecutorService threads = Executors.newCachedThreadPool();
        while (true) {
            threads.execute(new Worker(instance, method, server.accept()));
        }
    }

    /** The function's class, from the classes and resources of the volume and the jars in its lib. */
    private static Class<?> load(File volume, String name) throws IOException, ClassNotFoundException {
        List<URL> path = new ArrayList<>();
        path.add(volume.toURI().toURL());
        File[] jars = new File(volume, "lib").listFiles((lib, file) -> file.endsWith(".jar"));
        if (jars != null) {
            Arrays.sort(jars);
            for (File jar : jars) {
                path.add(jar.toURI().toURL());
            }
        }
        ClassLoader loader = new URLClassLoader(path.toArray(new URL[0]));
        Thread.currentThread().setContextClassLoader(loader); // the threads of calls inherit it
        return Class.forName("io.kubeless." + name, true, loader);
    }

    @Override
    public void run() {
        try (channel) {
            while (true) {
                serve();
            }
        } catch (IOException | InterruptedException e) {
            // The proxy has closed the connection, or where the next request begins is unknown.
        }
    }

    private void serve() throws IOException, InterruptedException {
        String start = line(MAX_HEAD);
        int size = start.length();
        String[] request = start.split(" ", 3);
        expect(request.length == 3 && request[2].equals("HTTP/1.1"));
        Map<String, String> headers = new HashMap<>();
        for (String header = line(MAX_HEAD); !header.isEmpty(); header = line(MAX_HEAD)) {
            size += header.length();
            int colon = header.indexOf(':');
            expect(size < MAX_HEAD && colon > 0 && header.charAt(colon - 1) > ' ');
            String name = header.substring(0, colon).toLowerCase(Locale.ROOT);
            String other = headers.putIfAbsent(name, header.substring(colon + 1).trim());
            expect(other == null || !name.equals("content-length"));
        }
        byte[] body = body(headers);
        bodiless = request[0].equals("HEAD");
        switch (request[1]) {
            case "/_health" -> answer("200 OK", ABILITIES, new byte[0]);
            case "/_cancel" ->
                answer(cancel(headers.getOrDefault("x-func-call-id", "")) ? "200 OK" : "409 Conflict", "", new byte[0]);
            default -> call(headers, body);
        }
    }

    private void call(Map<String, String> headers, byte[] body) throws IOException {
        String id = headers.getOrDefault("x-func-call-id", "");
        Call call = new Call();
        if (CALLS.putIfAbsent(id, call) != null && !id.isEmpty()) {
            throw new EOFException("the call was cancelled before it was read");
        }
        Object result;
        try {
            result = method.invoke(instance, event(headers, body), context());
        } catch (Throwable e) { // Errors too: only the process' end ends the worker
            result = e instanceof InvocationTargetException ? e.getCause() : e;
        } finally {
            call.end();
            CALLS.remove(id, call);
        }
        if (result == null || result instanceof String) {
            answer("200 OK", TEXT, result == null ? new byte[0] : ((String) result).getBytes(StandardCharsets.UTF_8));
        } else if (result instanceof byte[]) {
            answer("200 OK", BYTES, (byte[]) result);
        } else {
            Throwable failure = result instanceof Throwable ? (Throwable) result
                    : new ClassCastException("the function returned neither String nor byte[] but "
                            + result.getClass().getName());
            StringWriter trace = new StringWriter();
            failure.printStackTrace(new PrintWriter(trace));
            answer("500 Internal Server Error", TEXT + "X-Func-Error: " + failure.getClass().getName() + "\r\n",
                    trace.toString().getBytes(StandardCharsets.UTF_8));
        }
    }

    /** Says whether nothing of the call runs, nor will: one that is still to be read finds its ID taken. */
    private static boolean cancel(String id) throws InterruptedException {
        Call never = new Call();
        never.end();
        Call running = CALLS.putIfAbsent(id, never);
        if (running == null) {
            CompletableFuture.delayedExecutor(1, TimeUnit.MINUTES).execute(() -> CALLS.remove(id, never));
        }
        return running == null || running.cancel();
    }

    private static Event event(Map<String, String> headers, byte[] body) {
        return new Event(new String(body, StandardCharsets.UTF_8), headers.getOrDefault("event-id", ""),
                headers.getOrDefault("event-type", ""), headers.getOrDefault("event-time", ""),
                headers.getOrDefault("event-namespace", ""));
    }

    private static Context context() {
        return new Context(env("FUNC_HANDLER", ""), env("FUNC_TIMEOUT", "180"), env("FUNC_RUNTIME", ""),
                env("FUNC_MEMORY_LIMIT", "0"));
    }

    private static String env(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    /** Writes head and body, in one write if they fit. */
    private void answer(String status, String headers, byte[] body) throws IOException {
        String text = "HTTP/1.1 " + status + "\r\n" + headers + "Content-Length: " + body.length + "\r\n\r\n";
        out.clear().put(text.getBytes(StandardCharsets.ISO_8859_1));
        int end = bodiless ? 0 : body.length;
        int at = 0;
        do {
            int part = Math.min(out.remaining(), end - at);
            out.put(body, at, part).flip();
            at += part;
            while (out.hasRemaining()) {
                channel.write(out);
            }
            out.clear();
        } while (at < end);
    }

    private byte[] body(Map<String, String> headers) throws IOException {
        String coding = headers.get("transfer-encoding");
        if (coding == null) {
            return bytes(number(headers.getOrDefault("content-length", "0"), 10));
        }
        expect(coding.equalsIgnoreCase("chunked"));
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        for (int size = chunk(); size > 0; size = chunk()) {
            body.writeBytes(bytes(size));
            expect(line(MAX_LINE).isEmpty());
        }
        while (!line(MAX_LINE).isEmpty()) { } // trailers
        return body.toByteArray();
    }

    private int chunk() throws IOException {
        return number(line(MAX_LINE).split(";", 2)[0].stripTrailing(), 16);
    }

    /** The number; parseInt takes signs, too. */
    private static int number(String text, int radix) throws EOFException {
        try {
            expect(!text.isEmpty() && Character.digit(text.charAt(0), radix) >= 0);
            return Integer.parseInt(text, radix);
        } catch (NumberFormatException e) {
            throw new EOFException("no number: " + text);
        }
    }

    /** Ends the connection unless a request is as the proxy writes it: what follows would be taken for the next one. */
    private static void expect(boolean wellFormed) throws EOFException {
        if (!wellFormed) {
            throw new EOFException("malformed request");
        }
    }

    private byte[] bytes(int size) throws IOException {
        byte[] bytes = new byte[Math.min(size, 1 << 20)]; // memory follows what has come, not what a client says will
        for (int at = 0; at < size; ) {
            fill();
            if (at == bytes.length) {
                bytes = Arrays.copyOf(bytes, (int) Math.min(size, 2L * at));
            }
            int part = Math.min(in.remaining(), bytes.length - at);
            in.get(bytes, at, part);
            at += part;
        }
        return bytes;
    }

    private String line(int limit) throws IOException {
        for (int length = 0; ; length++) {
            fill();
            byte next = in.get();
            if (next == '\n') {
                expect(length > 0 && line[length - 1] == '\r');
                return new String(line, 0, length - 1, StandardCharsets.ISO_8859_1);
            }
            expect(length < limit);
            if (length == line.length) {
                line = Arrays.copyOf(line, 2 * length);
            }
            line[length] = next;
        }
    }

    /** Makes sure that there is a byte to read. */
    private void fill() throws IOException {
        if (!in.hasRemaining()) {
            int count = channel.read(in.clear());
            in.flip();
            if (count < 0) {
                throw new EOFException("the proxy has closed the connection");
            }
        }
    }

    /** A call as others see it; it runs in the thread that made this. */
    private static final class Call {
        private final Thread thread = Thread.currentThread();
        private boolean ended;

        synchronized void end() {
            ended = true;
            Thread.interrupted(); // the thread's next call has not been interrupted
            notifyAll();
        }

        /** Interrupts the call and says whether that ended it. */
        synchronized boolean cancel() throws InterruptedException {
            if (!ended) {
                thread.interrupt();
            }
            long deadline = System.nanoTime() + CANCEL_MILLIS * 1_000_000;
            for (long left = CANCEL_MILLIS; !ended && left > 0; left = (deadline - System.nanoTime()) / 1_000_000) {
                wait(left);
            }
            return ended;
        }
    }
}
