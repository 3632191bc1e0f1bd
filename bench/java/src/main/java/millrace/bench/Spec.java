package millrace.bench;

import java.net.URI;
import java.util.HashMap;
import java.util.Map;

/** What to do, from {@code name=value} arguments; {@code workload.ts} says what they mean. */
final class Spec {
    final URI uri;
    final String scope;
    final String stream;
    final int eventBytes;
    final int segments;
    final int writers;
    final boolean reader;
    final long warmupMs;
    final long measureMs;
    /** In each transaction; 0 for events by themselves. */
    final int transactionEvents;
    private final String load;

    Spec(String[] args) {
        Map<String, String> values = new HashMap<>();
        for (String arg : args) {
            int at = arg.indexOf('=');
            if (at < 1) {
                throw new IllegalArgumentException("An argument is name=value, not '" + arg + "'");
            }
            values.put(arg.substring(0, at), arg.substring(at + 1));
        }
        uri = URI.create(need(values, "uri"));
        scope = need(values, "scope");
        stream = need(values, "stream");
        eventBytes = Integer.parseInt(need(values, "eventBytes"));
        segments = Integer.parseInt(need(values, "segments"));
        writers = Integer.parseInt(need(values, "writers"));
        reader = Boolean.parseBoolean(need(values, "reader"));
        warmupMs = Long.parseLong(need(values, "warmupMs"));
        measureMs = Long.parseLong(need(values, "measureMs"));
        load = need(values, "load");
        transactionEvents = load.equals("transactions") ? Integer.parseInt(need(values, "transactionEvents")) : 0;
    }

    boolean single() {
        return load.equals("single");
    }

    /** Events a second, 0 for as many as are taken. */
    double perSecond() {
        return load.equals("max") ? 0 : Double.parseDouble(load);
    }

    private static String need(Map<String, String> values, String name) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException("The argument " + name + "=... is missing");
        }
        return value;
    }
}
