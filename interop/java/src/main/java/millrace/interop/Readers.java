package millrace.interop;

import io.pravega.client.BatchClientFactory;
import io.pravega.client.batch.SegmentIterator;
import io.pravega.client.batch.SegmentRange;
import io.pravega.client.stream.EventRead;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.StreamCut;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** The loops that reading with this client takes. */
final class Readers {
    /** How long a reader waits at a time; it looks after its group in between. */
    static final long TURN_MS = 500;
    /** Long enough for a reader to have asked for all that is there. */
    private static final long QUIET_MS = 1500;

    private Readers() {
    }

    /** Waits for the next event; gives up after 30 s. */
    static EventRead<byte[]> next(EventStreamReader<byte[]> reader) {
        long end = System.nanoTime() + 30_000_000_000L;
        while (System.nanoTime() < end) {
            EventRead<byte[]> read = reader.readNextEvent(TURN_MS);
            if (read.getEvent() != null) {
                return read;
            }
        }
        throw new AssertionError("no event after 30 s");
    }

    static List<byte[]> next(EventStreamReader<byte[]> reader, int count) {
        List<byte[]> events = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            events.add(next(reader).getEvent());
        }
        return events;
    }

    /** Waits until the reader is asked to take part in a checkpoint; events on the way fail the case. */
    static void passCheckpoint(EventStreamReader<byte[]> reader, String name) {
        long end = System.nanoTime() + 30_000_000_000L;
        while (System.nanoTime() < end) {
            EventRead<byte[]> read = reader.readNextEvent(TURN_MS);
            Expect.that(read.getEvent() == null, "no event comes before the checkpoint " + name);
            if (read.isCheckpoint()) {
                Expect.equal(read.getCheckpointName(), name, "the checkpoint");
                return;
            }
        }
        throw new AssertionError("no checkpoint after 30 s");
    }

    static void expectQuiet(EventStreamReader<byte[]> reader) {
        long end = System.nanoTime() + QUIET_MS * 1_000_000;
        while (System.nanoTime() < end) {
            Expect.that(reader.readNextEvent(TURN_MS).getEvent() == null, "no further event comes");
        }
    }

    /** Reads with all these readers at once until the ledger is full, then makes sure that no event comes twice. */
    static void drain(Fixture fixture, List<EventStreamReader<byte[]>> readers, Numbered.Ledger ledger) throws Exception {
        fixture.together(readers.size(), number -> {
            EventStreamReader<byte[]> reader = readers.get(number);
            long last = System.nanoTime();
            while (!ledger.isComplete()) {
                EventRead<byte[]> read = reader.readNextEvent(TURN_MS);
                if (read.getEvent() != null) {
                    ledger.accept(read.getEvent());
                    last = System.nanoTime();
                } else if (System.nanoTime() - last > 30_000_000_000L) {
                    throw new AssertionError("reader " + number + " has had no event for 30 s and events are missing");
                }
            }
            EventRead<byte[]> after = reader.readNextEvent(TURN_MS);
            if (after.getEvent() != null) {
                ledger.accept(after.getEvent());
            }
        });
        ledger.checkComplete();
    }

    /** All events between two cuts, segment after segment, so that those of a key are in order. */
    static List<byte[]> batch(BatchClientFactory batch, Stream stream, StreamCut from, StreamCut to) {
        List<byte[]> events = new ArrayList<>();
        for (SegmentRange range : ranges(batch, stream, from, to)) {
            try (SegmentIterator<byte[]> iterator = batch.readSegment(range, Fixture.BYTES)) {
                iterator.forEachRemaining(events::add);
            }
        }
        return events;
    }

    /** The client answers in any order. Here successors come after their predecessors: the epoch is the upper half of an id. */
    static List<SegmentRange> ranges(BatchClientFactory batch, Stream stream, StreamCut from, StreamCut to) {
        List<SegmentRange> ranges = new ArrayList<>();
        batch.getSegments(stream, from, to).getIterator().forEachRemaining(ranges::add);
        ranges.sort(Comparator.comparingLong(SegmentRange::getSegmentId));
        return ranges;
    }

    static List<byte[]> batch(Fixture fixture, Stream stream, StreamCut from, StreamCut to) {
        return batch(fixture.batch(), stream, from, to);
    }

    static List<byte[]> batch(Fixture fixture, Stream stream) {
        return batch(fixture, stream, StreamCut.UNBOUNDED, StreamCut.UNBOUNDED);
    }
}
