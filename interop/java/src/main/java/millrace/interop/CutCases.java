package millrace.interop;

import io.pravega.client.stream.EventRead;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.ReaderGroup;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.ReinitializationRequiredException;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.StreamCut;
import io.pravega.client.stream.TruncatedDataException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Cuts: a place in a stream, one offset for each segment. */
final class CutCases {
    private static final int ROUNDS = 4;
    private static final int ROUND_EVENTS = 200;

    private CutCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("cuts: text and bytes lead back to the same cut", CutCases::forms),
                Case.of("cuts: the batch client reads between two", CutCases::batch),
                Case.of("cuts: a group starts at one", CutCases::start),
                Case.of("cuts: a group reads between two and goes quiet", CutCases::between),
                Case.of("cuts: a group is reset to one", CutCases::reset),
                Case.of("cuts: the unread bytes of a group with an end", CutCases::unreadBytes),
                Case.of("cuts: truncation at one overtakes a reader", CutCases::overtaken),
                Case.of("cuts: a group from a place that was truncated", CutCases::startTruncated));
    }

    /** Writes rounds of events, each known by its number; answers the cuts between them, with head and tail. */
    private static List<StreamCut> rounds(Fixture fixture, Stream stream) {
        EventStreamWriter<byte[]> writer = fixture.writer(stream.getStreamName());
        List<StreamCut> cuts = new ArrayList<>(List.of(fixture.tail(stream)));
        for (int round = 0; round < ROUNDS; round++) {
            for (int i = 0; i < ROUND_EVENTS; i++) {
                writer.writeEvent(Numbered.keyName(i % 10), Numbered.event(round, i % 10, i / 10, 40));
            }
            writer.flush();
            cuts.add(fixture.tail(stream));
        }
        return cuts;
    }

    private static int round(byte[] event) {
        return java.nio.ByteBuffer.wrap(event).getInt();
    }

    /** These rounds, all of them, in order per key. */
    private static void expectRounds(List<byte[]> events, int from, int to) {
        Numbered.Ledger ledger = new Numbered.Ledger((long) (to - from) * ROUND_EVENTS);
        Set<Integer> seen = new HashSet<>();
        for (byte[] event : events) {
            seen.add(round(event));
            ledger.accept(event);
        }
        ledger.checkComplete();
        for (int round = from; round < to; round++) {
            Expect.that(seen.contains(round), "round " + round + " is among them");
        }
    }

    private static void forms(Fixture fixture) {
        Stream stream = fixture.stream("stream", 3);
        for (StreamCut cut : rounds(fixture, stream)) {
            Expect.equal(StreamCut.from(cut.asText()), cut, "the cut from its text");
            Expect.equal(StreamCut.fromBytes(cut.toBytes()), cut, "the cut from its bytes");
        }
        Expect.equal(StreamCases.positions(fixture.head(stream)), java.util.Map.of(0L, 0L, 1L, 0L, 2L, 0L), "the head");
    }

    private static void batch(Fixture fixture) {
        Stream stream = fixture.stream("stream", 3);
        List<StreamCut> cuts = rounds(fixture, stream);
        for (int from = 0; from <= ROUNDS; from++) {
            for (int to = from + 1; to <= ROUNDS; to++) {
                expectRounds(Readers.batch(fixture, stream, cuts.get(from), cuts.get(to)), from, to);
            }
        }
        expectRounds(Readers.batch(fixture, stream, cuts.get(1), StreamCut.UNBOUNDED), 1, ROUNDS);
        expectRounds(Readers.batch(fixture, stream, StreamCut.UNBOUNDED, cuts.get(2)), 0, 2);
    }

    private static void start(Fixture fixture) {
        Stream stream = fixture.stream("stream", 3);
        List<StreamCut> cuts = rounds(fixture, stream);
        fixture.group("readers", Fixture.groupConfig().stream(stream, cuts.get(2)).build());
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        expectRounds(Readers.next(reader, 2 * ROUND_EVENTS), 2, ROUNDS);
        Readers.expectQuiet(reader);
    }

    private static void between(Fixture fixture) {
        Stream stream = fixture.stream("stream", 3);
        List<StreamCut> cuts = rounds(fixture, stream);
        fixture.group("readers", Fixture.groupConfig().stream(stream, cuts.get(1), cuts.get(3)).build());
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        expectRounds(Readers.next(reader, 2 * ROUND_EVENTS), 1, 3);
        Readers.expectQuiet(reader);
    }

    private static void reset(Fixture fixture) {
        Stream stream = fixture.stream("stream", 3);
        List<StreamCut> cuts = rounds(fixture, stream);
        ReaderGroup group = fixture.group("readers", "stream");
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        expectRounds(Readers.next(reader, ROUNDS * ROUND_EVENTS), 0, ROUNDS);
        ReaderGroupConfig config = Fixture.groupConfig().stream(stream, cuts.get(3)).build();
        group.resetReaderGroup(config);
        Expect.fails(ReinitializationRequiredException.class, "reading on after a reset", () -> {
            long end = System.nanoTime() + 30_000_000_000L;
            while (System.nanoTime() < end) {
                reader.readNextEvent(Readers.TURN_MS);
            }
        });
        EventStreamReader<byte[]> again = fixture.reader("again", "readers");
        expectRounds(Readers.next(again, ROUND_EVENTS), 3, ROUNDS);
        Readers.expectQuiet(again);
    }

    private static void unreadBytes(Fixture fixture) {
        Stream stream = fixture.stream("stream", 3);
        List<StreamCut> cuts = rounds(fixture, stream);
        ReaderGroup group = fixture.group("readers", Fixture.groupConfig().stream(stream, cuts.get(1), cuts.get(2)).build());
        Expect.equal(group.getMetrics().unreadBytes(), ROUND_EVENTS * 48L, "unread bytes between the cuts");
    }

    private static void overtaken(Fixture fixture) {
        Stream stream = fixture.stream("stream", 3);
        // More than a reader holds in memory, or it would not notice.
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        for (int i = 0; i < 300; i++) {
            writer.writeEvent(Numbered.keyName(i % 10), Numbered.event(100, i % 10, i / 10, 60_000));
        }
        writer.flush();
        fixture.group("readers", "stream");
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        Readers.next(reader);
        List<StreamCut> cuts = rounds(fixture, stream);
        Expect.that(fixture.streams.truncateStream(fixture.scope, "stream", cuts.get(2)), "the stream is truncated");
        List<byte[]> kept = new ArrayList<>();
        int gaps = 0;
        long end = System.nanoTime() + 40_000_000_000L;
        while (kept.size() < 2 * ROUND_EVENTS) {
            Expect.that(System.nanoTime() < end, "the events that are left come within 40 s");
            try {
                EventRead<byte[]> read = reader.readNextEvent(Readers.TURN_MS);
                if (read.getEvent() != null && round(read.getEvent()) < 100) {
                    kept.add(read.getEvent());
                }
            } catch (TruncatedDataException e) {
                gaps++;
            }
        }
        Expect.that(gaps > 0, "the reader is told of the gap");
        expectRounds(kept, 2, ROUNDS);
        Readers.expectQuiet(reader);
    }

    private static void startTruncated(Fixture fixture) {
        Stream stream = fixture.stream("stream", 2);
        List<StreamCut> cuts = rounds(fixture, stream);
        Expect.that(fixture.streams.truncateStream(fixture.scope, "stream", cuts.get(3)), "the stream is truncated");
        fixture.group("readers", Fixture.groupConfig().stream(stream, cuts.get(1)).build());
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        List<byte[]> events = new ArrayList<>();
        int gaps = 0;
        long end = System.nanoTime() + 40_000_000_000L;
        while (events.size() < ROUND_EVENTS) {
            Expect.that(System.nanoTime() < end, "the events that are left come within 40 s");
            try {
                EventRead<byte[]> read = reader.readNextEvent(Readers.TURN_MS);
                if (read.getEvent() != null) {
                    events.add(read.getEvent());
                }
            } catch (TruncatedDataException e) {
                gaps++;
            }
        }
        Expect.equal(gaps, 2, "the number of gaps, one for each segment");
        expectRounds(events, 3, ROUNDS);
    }
}
