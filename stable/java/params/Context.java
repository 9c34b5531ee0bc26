package io.kubeless;

/** What a function runs in, as the controller wrote it. */
public class Context {
    public String FunctionName;
    /** Seconds. */
    public String Timeout;
    public String Runtime;
    /** A Kubernetes quantity, "0" for none. */
    public String MemoryLimit;

    public Context(String functionName, String timeout, String runtime, String memoryLimit) {
        FunctionName = functionName;
        Timeout = timeout;
        Runtime = runtime;
        MemoryLimit = memoryLimit;
    }
}
