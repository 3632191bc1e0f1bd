package millrace.bench;

import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.impl.ByteBufferSerializer;
import java.nio.ByteBuffer;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.Recorder;

/** One writer in a thread of its own. */
final class Load extends Thread {
    private static final long LATENCY_US_MAX = 600_000_000L;
    private static final int DIGITS = 3;
    /** What one writer may have under way at full speed: enough that the server never waits for the client. */
    private static final int WINDOW_BYTES = 16 * 1024 * 1024;
    private static final int WINDOW_EVENTS_MAX = 100_000;
    private static final double TICK_MS = 1;

    private final Spec spec;
    private final Events events;
    private final Phases phases;
    private final int writerNumber;
    private final EventStreamWriter<ByteBuffer> writer;
    private final Semaphore window;
    private final int windowEvents;
    private final Recorder times = new Recorder(LATENCY_US_MAX, DIGITS);
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private long made;
    private long madeBefore;

    Load(Spec spec, EventStreamClientFactory factory, Events events, Phases phases, int writerNumber) {
        super("writer-" + writerNumber);
        this.spec = spec;
        this.events = events;
        this.phases = phases;
        this.writerNumber = writerNumber;
        windowEvents = Math.min(WINDOW_BYTES / spec.eventBytes, WINDOW_EVENTS_MAX);
        window = new Semaphore(windowEvents);
        writer = factory.createEventWriter(spec.stream, new ByteBufferSerializer(), EventWriterConfig.builder().build());
    }

    static Histogram newHistogram() {
        return new Histogram(LATENCY_US_MAX, DIGITS);
    }

    /** Over the whole run. All that was made was acknowledged, or the run has failed. */
    long acknowledged() {
        if (failure.get() != null) {
            throw new IllegalStateException("A write failed", failure.get());
        }
        return made;
    }

    /** In the measured time. */
    long counted() {
        return made - madeBefore;
    }

    Histogram times() {
        return times.getIntervalHistogram();
    }

    @Override
    public void run() {
        try {
            if (spec.single()) {
                runSingle();
            } else if (spec.perSecond() == 0) {
                runMax();
            } else {
                runPaced();
            }
            writer.flush();
            // A flush returns when all is acknowledged, which is a moment before those who wait for it are told.
            window.acquire(windowEvents);
            writer.close();
        } catch (Exception e) {
            failure.compareAndSet(null, e);
        }
    }

    private void runSingle() throws Exception {
        for (double now = phases.nowMs(); now < phases.endMs; now = phases.nowMs()) {
            noteBeginning(now);
            writer.writeEvent(Events.keyOf(made), events.make(writerNumber, made, now)).get();
            made++;
            record(now);
        }
    }

    private void runMax() throws InterruptedException {
        for (double now = phases.nowMs(); now < phases.endMs; now = phases.nowMs()) {
            noteBeginning(now);
            window.acquire();
            // The wait for room is the load's own: the event is handed over now.
            write(phases.nowMs());
        }
    }

    private void runPaced() throws InterruptedException {
        double perMs = spec.perSecond() / 1000;
        for (double now = phases.nowMs(); now < phases.endMs; now = phases.nowMs()) {
            noteBeginning(now);
            for (long due = (long) (now * perMs); made < due;) {
                window.acquire();
                write(made / perMs);
            }
            phases.sleepUntil(now + TICK_MS);
        }
    }

    private void write(double intendedMs) {
        long sequence = made++;
        writer.writeEvent(Events.keyOf(sequence), events.make(writerNumber, sequence, intendedMs))
                .whenComplete((done, error) -> {
                    window.release();
                    if (error != null) {
                        failure.compareAndSet(null, error);
                    } else {
                        record(intendedMs);
                    }
                });
    }

    private void record(double intendedMs) {
        if (intendedMs >= phases.warmUpEndMs) {
            times.recordValue(Math.max(0, (long) ((phases.nowMs() - intendedMs) * 1000)));
        }
    }

    private void noteBeginning(double nowMs) {
        if (madeBefore == 0 && nowMs >= phases.warmUpEndMs) {
            madeBefore = made;
        }
    }
}
