package millrace.bench;

import io.pravega.client.ClientConfig;
import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.admin.ReaderGroupManager;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.ReaderConfig;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.impl.ByteBufferSerializer;
import java.nio.ByteBuffer;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.Recorder;

/** Reads everything beside the load and takes the time from the moment an event was due. */
final class TailReader extends Thread {
    private static final long READ_MS = 100;
    private static final double LAST_MS_MAX = 10_000;

    private final EventStreamReader<ByteBuffer> reader;
    private final Events.Checker checker;
    private final Recorder times = new Recorder(600_000_000L, 3);
    private Phases phases;
    private volatile boolean stopping;
    private volatile Exception failure;

    TailReader(Spec spec, ClientConfig config, EventStreamClientFactory factory, Events events) {
        super("reader");
        checker = events.new Checker();
        String group = "bench" + System.nanoTime();
        try (ReaderGroupManager groups = ReaderGroupManager.withScope(spec.scope, config)) {
            groups.createReaderGroup(group,
                    ReaderGroupConfig.builder().stream(Stream.of(spec.scope, spec.stream)).build());
        }
        reader = factory.createReader("reader", group, new ByteBufferSerializer(), ReaderConfig.builder().build());
        // The reader has its segments before the load begins, so that no event waits for the group to be arranged.
        reader.readNextEvent(READ_MS);
    }

    void start(Phases whose) {
        phases = whose;
        start();
    }

    Histogram times() {
        return times.getIntervalHistogram();
    }

    /** Waits for what was acknowledged; what was wrong, or null. */
    String finish(long acknowledged) throws Exception {
        double deadline = phases.nowMs() + LAST_MS_MAX;
        while (checker.seen() < acknowledged && phases.nowMs() < deadline && failure == null) {
            Thread.sleep(READ_MS);
        }
        stopping = true;
        join();
        if (failure != null) {
            throw failure;
        }
        return checker.finish(acknowledged);
    }

    @Override
    public void run() {
        try {
            while (!stopping) {
                ByteBuffer event = reader.readNextEvent(READ_MS).getEvent();
                if (event == null) {
                    continue;
                }
                double now = phases.nowMs();
                double intended = Events.intendedMsOf(event);
                if (intended >= phases.warmUpEndMs && intended < phases.endMs) {
                    times.recordValue(Math.max(0, (long) ((now - intended) * 1000)));
                }
                checker.see(event);
            }
            reader.close();
        } catch (Exception e) {
            failure = e;
        }
    }
}
