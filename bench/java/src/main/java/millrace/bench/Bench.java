package millrace.bench;

import io.pravega.client.ClientConfig;
import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.admin.StreamManager;
import io.pravega.client.stream.ScalingPolicy;
import io.pravega.client.stream.StreamConfiguration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.HdrHistogram.Histogram;

/** One load by Pravega's Java client. Says on stdout what {@code client.ts} says, in the same words. */
public final class Bench {
    private Bench() {
    }

    public static void main(String[] args) throws Exception {
        Spec spec = new Spec(args);
        ClientConfig config = ClientConfig.builder().controllerURI(spec.uri).build();
        try (StreamManager manager = StreamManager.create(config)) {
            manager.createScope(spec.scope);
            manager.createStream(spec.scope, spec.stream,
                    StreamConfiguration.builder().scalingPolicy(ScalingPolicy.fixed(spec.segments)).build());
        }
        try (EventStreamClientFactory factory = EventStreamClientFactory.withScope(spec.scope, config)) {
            run(spec, config, factory);
        }
        // Threads of the client that are still winding down have nothing more to say.
        System.exit(0);
    }

    private static void run(Spec spec, ClientConfig config, EventStreamClientFactory factory) throws Exception {
        Events events = new Events(spec.eventBytes);
        TailReader reader = spec.reader ? new TailReader(spec, config, factory, events) : null;
        Phases phases = new Phases(spec);
        if (reader != null) {
            reader.start(phases);
        }
        List<Load> loads = new ArrayList<>();
        for (int writer = 0; writer < spec.writers; writer++) {
            loads.add(spec.transactionEvents > 0
                    ? new TransactionLoad(spec, factory, events, phases, writer)
                    : new EventLoad(spec, factory, events, phases, writer));
        }
        for (Load load : loads) {
            load.start();
        }
        phases.awaitWarmUp();
        say("{\"event\":\"measuring\"}");
        for (Load load : loads) {
            load.join();
        }
        double seconds = (phases.nowMs() - phases.warmUpEndMs) / 1000;
        say("{\"event\":\"measured\"}");
        StringBuilder acknowledged = new StringBuilder();
        long counted = 0;
        Histogram ack = Load.newHistogram();
        for (Load load : loads) {
            acknowledged.append(acknowledged.length() == 0 ? "" : ",").append(load.acknowledged());
            counted += load.counted();
            ack.add(load.times());
        }
        String problem = reader == null ? null : reader.finish(loads.get(0).acknowledged());
        double rate = counted / seconds;
        say(String.format(Locale.ROOT,
                "{\"event\":\"result\",\"events\":%d,\"seconds\":%.3f,\"eventsPerSecond\":%.1f,"
                        + "\"megabytesPerSecond\":%.3f,\"ackMs\":%s,%s\"acknowledged\":[%s]%s}",
                counted, seconds, rate, rate * spec.eventBytes / 1e6, show(ack),
                reader == null ? "" : "\"endToEndMs\":" + show(reader.times()) + ",", acknowledged,
                problem == null ? "" : ",\"problem\":\"" + problem + "\""));
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static String show(Histogram us) {
        return String.format(Locale.ROOT,
                "{\"count\":%d,\"p50\":%.3f,\"p95\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}",
                us.getTotalCount(), us.getValueAtPercentile(50) / 1e3, us.getValueAtPercentile(95) / 1e3,
                us.getValueAtPercentile(99) / 1e3, us.getValueAtPercentile(99.9) / 1e3, us.getMaxValue() / 1e3);
    }
}
