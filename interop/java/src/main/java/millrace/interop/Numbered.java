package millrace.interop;

import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;

/**
 * Events that say who wrote them, under which key and in which order, so that a reader can tell that nothing is missing, repeated,
 * out of order or changed.
 */
final class Numbered {
    static final int BYTES_MIN = 16;

    private Numbered() {
    }

    static byte[] event(int writer, int key, long sequence, int bytes) {
        ByteBuffer event = ByteBuffer.allocate(Math.max(bytes, BYTES_MIN)).putInt(writer).putInt(key).putLong(sequence);
        // In 32 bits, so that other languages can make the same bytes.
        int state = writer * 31 + key * 17 + (int) sequence;
        while (event.hasRemaining()) {
            state = state * 1664525 + 1013904223;
            event.put((byte) (state >>> 24));
        }
        return event.array();
    }

    static String keyName(int key) {
        return "key-" + key;
    }

    /** Bytes that depend on the seed alone. */
    static byte[] bytes(long seed, int length) {
        byte[] bytes = new byte[length];
        new java.util.Random(seed).nextBytes(bytes);
        return bytes;
    }

    /** Takes what readers read. Each writer's events of a key must come once each, in their order, from 0. */
    static final class Ledger {
        private final Map<Long, Long> next = new HashMap<>();
        private final long expected;
        private long count;

        Ledger(long expected) {
            this.expected = expected;
        }

        synchronized void accept(byte[] bytes) {
            ByteBuffer event = ByteBuffer.wrap(bytes);
            int writer = event.getInt();
            int key = event.getInt();
            long sequence = event.getLong();
            long due = next.merge((long) writer << 32 | key, 1L, Long::sum) - 1;
            if (sequence != due) {
                throw new AssertionError("writer " + writer + ", key " + key + ": event " + sequence + " comes where " + due + " is due");
            }
            Expect.sameBytes(bytes, event(writer, key, sequence, bytes.length), "event " + sequence + " of writer " + writer);
            count++;
        }

        synchronized boolean isComplete() {
            return count >= expected;
        }

        synchronized void checkComplete() {
            Expect.equal(count, expected, "the number of events read");
        }
    }
}
