package millrace.bench;

import java.util.concurrent.locks.LockSupport;

/** When a run warms up, counts and ends, in milliseconds since it began. */
final class Phases {
    final double warmUpEndMs;
    final double endMs;
    private final long originNs = System.nanoTime();

    Phases(Spec spec) {
        warmUpEndMs = spec.warmupMs;
        endMs = spec.warmupMs + spec.measureMs;
    }

    double nowMs() {
        return (System.nanoTime() - originNs) / 1e6;
    }

    void awaitWarmUp() {
        sleepUntil(warmUpEndMs);
    }

    void sleepUntil(double ms) {
        for (double left = ms - nowMs(); left > 0; left = ms - nowMs()) {
            LockSupport.parkNanos((long) (left * 1e6));
        }
    }
}
