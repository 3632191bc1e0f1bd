package millrace.bench;

import java.util.concurrent.atomic.AtomicReference;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.Recorder;

/** One writer in a thread of its own. */
abstract class Load extends Thread {
    private static final long LATENCY_US_MAX = 600_000_000L;
    private static final int DIGITS = 3;

    final Spec spec;
    final Events events;
    final Phases phases;
    final int writerNumber;
    /** Events, from the first one on. */
    long made;
    private final Recorder times = new Recorder(LATENCY_US_MAX, DIGITS);
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private long madeBefore;

    Load(Spec spec, Events events, Phases phases, int writerNumber) {
        super("writer-" + writerNumber);
        this.spec = spec;
        this.events = events;
        this.phases = phases;
        this.writerNumber = writerNumber;
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
            load();
        } catch (Exception e) {
            fail(e);
        }
    }

    /** Until the phases are over and all is acknowledged. */
    abstract void load() throws Exception;

    void fail(Throwable error) {
        failure.compareAndSet(null, error);
    }

    /** What began before the measured time does not count. */
    void record(double beganMs) {
        if (beganMs >= phases.warmUpEndMs) {
            times.recordValue(Math.max(0, (long) ((phases.nowMs() - beganMs) * 1000)));
        }
    }

    void noteBeginning(double nowMs) {
        if (madeBefore == 0 && nowMs >= phases.warmUpEndMs) {
            madeBefore = made;
        }
    }
}
