package millrace.bench;

import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.impl.ByteBufferSerializer;
import java.nio.ByteBuffer;
import java.util.concurrent.Semaphore;

/** Events by themselves: one at a time, at a rate, or as many as are taken. */
final class EventLoad extends Load {
    /** What one writer may have under way at full speed: enough that the server never waits for the client. */
    private static final int WINDOW_BYTES = 16 * 1024 * 1024;
    private static final int WINDOW_EVENTS_MAX = 100_000;
    private static final double TICK_MS = 1;

    private final EventStreamWriter<ByteBuffer> writer;
    private final Semaphore window;
    private final int windowEvents;

    EventLoad(Spec spec, EventStreamClientFactory factory, Events events, Phases phases, int writerNumber) {
        super(spec, events, phases, writerNumber);
        windowEvents = Math.min(WINDOW_BYTES / spec.eventBytes, WINDOW_EVENTS_MAX);
        window = new Semaphore(windowEvents);
        writer = factory.createEventWriter(spec.stream, new ByteBufferSerializer(), EventWriterConfig.builder().build());
    }

    @Override
    void load() throws Exception {
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
                        fail(error);
                    } else {
                        record(intendedMs);
                    }
                });
    }
}
