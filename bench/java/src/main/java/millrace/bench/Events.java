package millrace.bench;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** The events of every benchmark, byte for byte as {@code events.ts} makes and describes them. */
final class Events {
    private static final int HEADER_BYTES = 24;
    private static final int SEQUENCE = 0;
    private static final int INTENDED = 8;
    private static final int WRITER = 16;
    private static final int KEYS = 1000;
    private static final int BODIES = 1024;
    private static final byte FILLER = 0x61;
    private static final String[] KEY_NAMES = new String[KEYS];

    static {
        for (int key = 0; key < KEYS; key++) {
            KEY_NAMES[key] = "key-" + key;
        }
    }

    private final byte[][] bodies;

    Events(int eventBytes) {
        bodies = new byte[BODIES][];
        for (int index = 0; index < BODIES; index++) {
            bodies[index] = body(index, eventBytes - HEADER_BYTES);
        }
    }

    static String keyOf(long sequence) {
        return KEY_NAMES[(int) (sequence % KEYS)];
    }

    /** A buffer of its own: the client keeps it until it was sent. */
    ByteBuffer make(int writer, long sequence, double intendedMs) {
        byte[] body = bodies[(int) (sequence % BODIES)];
        ByteBuffer event = ByteBuffer.allocate(HEADER_BYTES + body.length).order(ByteOrder.LITTLE_ENDIAN);
        event.putDouble(SEQUENCE, sequence);
        event.putDouble(INTENDED, intendedMs);
        event.putInt(WRITER, writer);
        System.arraycopy(body, 0, event.array(), HEADER_BYTES, body.length);
        return event;
    }

    static double intendedMsOf(ByteBuffer event) {
        return event.order(ByteOrder.LITTLE_ENDIAN).getDouble(event.position() + INTENDED);
    }

    /** Follows what one reader gets: every event once, in the order of its key, as it was sent. */
    final class Checker {
        private final long[] expected = new long[KEYS];
        private String problem;
        private volatile long seen;

        Checker() {
            Arrays.setAll(expected, key -> key);
        }

        long seen() {
            return seen;
        }

        /** Of a stream with one writer. */
        @SuppressWarnings("NonAtomicOperationOnVolatileField")
        void see(ByteBuffer event) {
            event.order(ByteOrder.LITTLE_ENDIAN);
            int start = event.position();
            long sequence = (long) event.getDouble(start + SEQUENCE);
            int key = (int) (sequence % KEYS);
            if (sequence != expected[key]) {
                note("event " + sequence + " came where " + expected[key] + " belongs");
            }
            expected[key] = sequence + KEYS;
            byte[] body = bodies[(int) (sequence % BODIES)];
            ByteBuffer rest = event.duplicate().position(start + HEADER_BYTES);
            if (!rest.equals(ByteBuffer.wrap(body))) {
                note("event " + sequence + " has other bytes than were sent");
            }
            seen++;
        }

        /** The first thing that was wrong, or null. */
        String finish(long acknowledged) {
            for (int key = 0; key < KEYS; key++) {
                if (expected[key] < acknowledged) {
                    note("event " + expected[key] + " was acknowledged and is not there");
                }
            }
            return problem;
        }

        private void note(String what) {
            if (problem == null) {
                problem = what;
            }
        }
    }

    private static byte[] body(int index, int length) {
        byte[] body = new byte[length];
        Arrays.fill(body, FILLER);
        // JavaScript multiplies these as doubles, exactly, and then keeps the low 32 bits.
        int state = (int) ((index + 1) * 0x9e3779b1L);
        for (int at = 0; at < length >> 1; at++) {
            state ^= state << 13;
            state ^= state >>> 17;
            state ^= state << 5;
            body[at] = (byte) state;
        }
        return body;
    }
}
