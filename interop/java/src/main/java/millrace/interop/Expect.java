package millrace.interop;

import java.time.Duration;
import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;

/** What a case claims. A claim that does not hold is an AssertionError that says what was seen. */
final class Expect {
    interface Action {
        void run() throws Exception;
    }

    private Expect() {
    }

    static void that(boolean holds, String claim) {
        if (!holds) {
            throw new AssertionError("does not hold: " + claim);
        }
    }

    static void equal(Object seen, Object expected, String what) {
        if (!Objects.equals(seen, expected)) {
            throw new AssertionError(what + " is " + seen + ", not " + expected);
        }
    }

    static void sameBytes(byte[] seen, byte[] expected, String what) {
        int at = Arrays.mismatch(seen, expected);
        if (at >= 0) {
            throw new AssertionError(what + " of " + seen.length + " bytes differs at " + at + " from the " + expected.length + " expected");
        }
    }

    /** The action must end with this exception or one below it; what futures wrap around it does not count. */
    static <E extends Throwable> E fails(Class<E> type, String what, Action action) {
        try {
            action.run();
        } catch (Throwable thrown) {
            Throwable cause = unwrap(thrown);
            if (type.isInstance(cause)) {
                return type.cast(cause);
            }
            throw new AssertionError(what + " fails with " + cause + ", not " + type.getSimpleName(), thrown);
        }
        throw new AssertionError(what + " succeeds where " + type.getSimpleName() + " is due");
    }

    static void eventually(Duration limit, String claim, Callable<Boolean> condition) throws Exception {
        long end = System.nanoTime() + limit.toNanos();
        while (!condition.call()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("does not hold after " + limit.toSeconds() + " s: " + claim);
            }
            Thread.sleep(20);
        }
    }

    /** What futures, and the client in some of its calls, wrap around the exception that tells what is wrong. */
    static Throwable unwrap(Throwable thrown) {
        Throwable cause = thrown;
        while (cause.getCause() != null && (cause instanceof CompletionException || cause instanceof ExecutionException
                || cause.getClass() == RuntimeException.class)) {
            cause = cause.getCause();
        }
        return cause;
    }
}
