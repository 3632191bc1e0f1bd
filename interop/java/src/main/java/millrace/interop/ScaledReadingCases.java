package millrace.interop;

import io.pravega.client.batch.SegmentRange;
import io.pravega.client.stream.Checkpoint;
import io.pravega.client.stream.EventRead;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.ReaderGroup;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.ReinitializationRequiredException;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.StreamCut;
import io.pravega.client.stream.TruncatedDataException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Reading streams that have been scaled, or are. */
final class ScaledReadingCases {
    private static final int KEYS = 20;
    private static final int ROUND_EVENTS = 200;
    /** How many segments there are in each round. */
    private static final int[] SEGMENTS = {2, 5, 3, 4, 1};

    private ScaledReadingCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("scaled: a group reads on into the successors", ScaledReadingCases::group),
                Case.of("scaled: a group that comes late reads through all epochs", ScaledReadingCases::late),
                Case.of("scaled: readers share the new segments", ScaledReadingCases::shares),
                Case.of("scaled: a reader goes while the stream scales", ScaledReadingCases::leaving),
                Case.of("scaled: back to a checkpoint of before", ScaledReadingCases::checkpoint),
                Case.of("scaled: the batch client reads between cuts of all epochs", ScaledReadingCases::cuts),
                Case.of("scaled: groups between cuts of all epochs", ScaledReadingCases::bounded),
                Case.of("scaled: truncation at a cut of a later epoch", ScaledReadingCases::truncated),
                Case.of("scaled: unread bytes", ScaledReadingCases::unreadBytes),
                Case.of("scaled: the number of segments is told", ScaledReadingCases::segmentNotification),
                Case.of("scaled: reading ends at the end of a sealed stream", ScaledReadingCases::end));
    }

    private static ReaderGroupConfig.ReaderGroupConfigBuilder checkpointing(long intervalMs) {
        return ReaderGroupConfig.builder().automaticCheckpointIntervalMillis(intervalMs).groupRefreshTimeMillis(200);
    }

    private static void write(EventStreamWriter<byte[]> writer, int round) {
        for (int i = 0; i < ROUND_EVENTS; i++) {
            long sequence = (long) round * (ROUND_EVENTS / KEYS) + i / KEYS;
            writer.writeEvent(Numbered.keyName(i % KEYS), Numbered.event(0, i % KEYS, sequence, 40));
        }
        writer.flush();
    }

    private static long round(byte[] event) {
        return java.nio.ByteBuffer.wrap(event).getLong(8) / (ROUND_EVENTS / KEYS);
    }

    /** A round of events in each epoch. Answers the cuts before, between and after the rounds. */
    private static List<StreamCut> rounds(Fixture fixture, Stream stream) throws Exception {
        EventStreamWriter<byte[]> writer = fixture.writer(stream.getStreamName());
        List<StreamCut> cuts = new ArrayList<>(List.of(fixture.tail(stream)));
        for (int round = 0; round < SEGMENTS.length; round++) {
            if (round > 0) {
                Scaling.wholly(fixture, stream, SEGMENTS[round]);
            }
            write(writer, round);
            cuts.add(fixture.tail(stream));
        }
        return cuts;
    }

    /** The policy's minimum is what a scale may not go below. */
    private static Stream stream(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 1);
        Scaling.wholly(fixture, stream, SEGMENTS[0]);
        return stream;
    }

    /** These rounds, all of them, in order per key. */
    private static void expectRounds(List<byte[]> events, int from, int to) {
        Map<Integer, Long> next = new java.util.HashMap<>();
        for (byte[] event : events) {
            int key = java.nio.ByteBuffer.wrap(event).getInt(4);
            long sequence = java.nio.ByteBuffer.wrap(event).getLong(8);
            Expect.equal(sequence, next.getOrDefault(key, (long) from * (ROUND_EVENTS / KEYS)), "the next event of key " + key);
            next.put(key, sequence + 1);
        }
        Expect.equal(events.size(), (to - from) * ROUND_EVENTS, "the number of events of rounds " + from + " to " + to);
    }

    private static void group(Fixture fixture) throws Exception {
        Stream stream = stream(fixture);
        fixture.group("readers", checkpointing(500).stream(stream).build());
        List<EventStreamReader<byte[]>> readers = List.of(fixture.reader("one", "readers"), fixture.reader("two", "readers"));
        Numbered.Ledger ledger = new Numbered.Ledger((long) SEGMENTS.length * ROUND_EVENTS);
        var reading = fixture.start(() -> {
            Readers.drain(fixture, readers, ledger);
            return null;
        });
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        for (int round = 0; round < SEGMENTS.length; round++) {
            write(writer, round);
            Scaling.wholly(fixture, stream, SEGMENTS[round]);
        }
        Fixture.join(reading);
    }

    private static void late(Fixture fixture) throws Exception {
        Stream stream = stream(fixture);
        rounds(fixture, stream);
        fixture.group("readers", checkpointing(500).stream(stream).build());
        Readers.drain(fixture, List.of(fixture.reader("one", "readers"), fixture.reader("two", "readers"),
                fixture.reader("three", "readers")), new Numbered.Ledger((long) SEGMENTS.length * ROUND_EVENTS));
    }

    private static void shares(Fixture fixture) throws Exception {
        Stream stream = stream(fixture);
        ReaderGroup group = fixture.group("readers", checkpointing(500).stream(stream).build());
        List<EventStreamReader<byte[]>> readers = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            readers.add(fixture.reader("reader-" + i, "readers"));
        }
        write(fixture.writer("stream"), 0);
        Scaling.wholly(fixture, stream, 8);
        Numbered.Ledger ledger = new Numbered.Ledger(ROUND_EVENTS);
        // To two each they come only by releasing one at a time, each after half a minute.
        Expect.eventually(Duration.ofSeconds(40), "the readers have all of the segments, and none is without", () -> {
            fixture.together(4, number -> {
                EventRead<byte[]> read = readers.get(number).readNextEvent(100);
                if (read.getEvent() != null) {
                    ledger.accept(read.getEvent());
                }
            });
            Map<String, Integer> shares = group.getReaderSegmentDistribution().getReaderSegmentDistribution();
            int assigned = shares.values().stream().mapToInt(Integer::intValue).sum();
            return ledger.isComplete() && assigned == 8 && shares.size() == 4 && !shares.containsValue(0);
        });
        ledger.checkComplete();
    }

    private static void leaving(Fixture fixture) throws Exception {
        Stream stream = stream(fixture);
        fixture.group("readers", checkpointing(500).stream(stream).build());
        Numbered.Ledger ledger = new Numbered.Ledger(3L * ROUND_EVENTS);
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        EventStreamReader<byte[]> first = fixture.reader("first", "readers");
        write(writer, 0);
        Readers.next(first, ROUND_EVENTS / 2).forEach(ledger::accept);
        Scaling.wholly(fixture, stream, 4);
        write(writer, 1);
        Readers.next(first, ROUND_EVENTS).forEach(ledger::accept);
        first.close();
        Scaling.wholly(fixture, stream, 2);
        write(writer, 2);
        Readers.drain(fixture, List.of(fixture.reader("next", "readers")), ledger);
    }

    private static void checkpoint(Fixture fixture) throws Exception {
        Stream stream = stream(fixture);
        ReaderGroup group = fixture.group("readers", checkpointing(500).stream(stream).build());
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        write(writer, 0);
        Readers.next(reader, ROUND_EVENTS);
        CompletableFuture<Checkpoint> before = group.initiateCheckpoint("before", fixture.executor);
        while (!before.isDone()) {
            Expect.that(reader.readNextEvent(100).getEvent() == null, "nothing comes");
        }
        Checkpoint stored = Checkpoint.fromBytes(before.get().toBytes());
        for (int round = 1; round < 4; round++) {
            Scaling.wholly(fixture, stream, SEGMENTS[round]);
            write(writer, round);
        }
        List<byte[]> rest = Readers.next(reader, 3 * ROUND_EVENTS);
        expectRounds(rest, 1, 4);
        for (int turn = 0; turn < 2; turn++) {
            group.resetReaderGroup(checkpointing(500).startFromCheckpoint(stored).build());
            EventStreamReader<byte[]> old = reader;
            Expect.fails(ReinitializationRequiredException.class, "reading on after a reset", () -> {
                long end = System.nanoTime() + 30_000_000_000L;
                while (System.nanoTime() < end) {
                    old.readNextEvent(Readers.TURN_MS);
                }
            });
            reader = fixture.reader("again-" + turn, "readers");
            expectRounds(Readers.next(reader, 3 * ROUND_EVENTS), 1, 4);
            Readers.expectQuiet(reader);
        }
    }

    private static void cuts(Fixture fixture) throws Exception {
        Stream stream = stream(fixture);
        List<StreamCut> cuts = rounds(fixture, stream);
        for (StreamCut cut : cuts) {
            Expect.equal(StreamCut.from(cut.asText()), cut, "the cut from its text");
        }
        for (int from = 0; from < cuts.size(); from++) {
            for (int to = from + 1; to < cuts.size(); to++) {
                expectRounds(Readers.batch(fixture, stream, cuts.get(from), cuts.get(to)), from, to);
            }
        }
        expectRounds(Readers.batch(fixture, stream), 0, SEGMENTS.length);
        int segments = 0;
        for (SegmentRange range : Readers.ranges(fixture.batch(), stream, StreamCut.UNBOUNDED, StreamCut.UNBOUNDED)) {
            Expect.equal(range.getStartOffset(), 0L, "where a segment begins");
            segments++;
        }
        Expect.equal(segments, 1 + java.util.Arrays.stream(SEGMENTS).sum(), "the number of segments there ever were");
    }

    private static void bounded(Fixture fixture) throws Exception {
        Stream stream = stream(fixture);
        List<StreamCut> cuts = rounds(fixture, stream);
        int[][] bounds = {{0, 2}, {1, 4}, {2, 3}, {3, SEGMENTS.length}};
        // All at once, since each takes as many checkpoints as there are epochs.
        fixture.together(bounds.length, number -> {
            int from = bounds[number][0];
            int to = bounds[number][1];
            fixture.group("readers-" + number, checkpointing(300).stream(stream, cuts.get(from), cuts.get(to)).build());
            EventStreamReader<byte[]> reader = fixture.reader("one", "readers-" + number);
            expectRounds(Readers.next(reader, (to - from) * ROUND_EVENTS), from, to);
            Readers.expectQuiet(reader);
        });
    }

    private static void truncated(Fixture fixture) throws Exception {
        Stream stream = stream(fixture);
        List<StreamCut> cuts = rounds(fixture, stream);
        Expect.that(fixture.streams.truncateStream(fixture.scope, "stream", cuts.get(3)), "the stream is truncated");
        Expect.equal(StreamCases.positions(fixture.head(stream)), StreamCases.positions(cuts.get(3)), "the head");
        expectRounds(Readers.batch(fixture, stream), 3, SEGMENTS.length);
        fixture.group("readers", checkpointing(300).stream(stream).build());
        expectRounds(Readers.next(fixture.reader("one", "readers"), 2 * ROUND_EVENTS), 3, SEGMENTS.length);
        // A group from a place that is gone is told of gaps, and gets all that is left.
        fixture.group("others", checkpointing(300).stream(stream, cuts.get(1)).build());
        EventStreamReader<byte[]> other = fixture.reader("one", "others");
        List<byte[]> left = new ArrayList<>();
        int gaps = 0;
        long end = System.nanoTime() + 40_000_000_000L;
        while (left.size() < 2 * ROUND_EVENTS) {
            Expect.that(System.nanoTime() < end, "the events that are left come within 40 s");
            try {
                EventRead<byte[]> read = other.readNextEvent(Readers.TURN_MS);
                if (read.getEvent() != null) {
                    Expect.that(round(read.getEvent()) >= 3, "nothing comes that was truncated");
                    left.add(read.getEvent());
                }
            } catch (TruncatedDataException e) {
                gaps++;
            }
        }
        Expect.that(gaps > 0, "the reader is told of the gap");
        expectRounds(left, 3, SEGMENTS.length);
    }

    private static void unreadBytes(Fixture fixture) throws Exception {
        Stream stream = stream(fixture);
        List<StreamCut> cuts = rounds(fixture, stream);
        ReaderGroup group = fixture.group("readers", checkpointing(300).stream(stream).build());
        long bytes = 48L * ROUND_EVENTS;
        Expect.equal(group.getMetrics().unreadBytes(), bytes * SEGMENTS.length, "unread bytes of all epochs");
        ReaderGroup between = fixture.group("between", Fixture.groupConfig().stream(stream, cuts.get(1), cuts.get(4)).build());
        Expect.equal(between.getMetrics().unreadBytes(), bytes * 3, "unread bytes between two cuts");
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        Readers.next(reader, SEGMENTS.length * ROUND_EVENTS);
        Expect.eventually(Duration.ofSeconds(20), "unread bytes are 0 once all is read", () -> {
            Expect.that(reader.readNextEvent(100).getEvent() == null, "nothing comes twice");
            return group.getMetrics().unreadBytes() == 0;
        });
        write(fixture.writer("stream"), SEGMENTS.length);
        Expect.equal(group.getMetrics().unreadBytes(), bytes, "unread bytes after another round");
    }

    private static void segmentNotification(Fixture fixture) throws Exception {
        Stream stream = stream(fixture);
        ReaderGroup group = fixture.group("readers", checkpointing(300).stream(stream).build());
        LinkedBlockingQueue<Integer> told = new LinkedBlockingQueue<>();
        group.getSegmentNotifier(fixture.executor).registerListener(note -> told.add(note.getNumOfSegments()));
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        Expect.equal(told.poll(20, TimeUnit.SECONDS), 1, "the number of segments to begin with");
        expectTold(reader, told, SEGMENTS[0]);
        Scaling.wholly(fixture, stream, 5);
        expectTold(reader, told, 5);
        Scaling.wholly(fixture, stream, 3);
        expectTold(reader, told, 3);
        group.getSegmentNotifier(fixture.executor).unregisterAllListeners();
    }

    /** On the way there may be other numbers: the reader finishes one segment after the other. */
    private static void expectTold(EventStreamReader<byte[]> reader, LinkedBlockingQueue<Integer> told, int count) throws Exception {
        Expect.eventually(Duration.ofSeconds(30), "the number of segments is told as " + count, () -> {
            reader.readNextEvent(100);
            boolean seen = false;
            for (Integer number = told.poll(); number != null; number = told.poll()) {
                seen = number == count;
            }
            return seen;
        });
    }

    private static void end(Fixture fixture) throws Exception {
        Stream stream = stream(fixture);
        rounds(fixture, stream);
        Expect.that(fixture.streams.sealStream(fixture.scope, "stream"), "the stream is sealed");
        ReaderGroup group = fixture.group("readers", checkpointing(300).stream(stream).build());
        CountDownLatch ended = new CountDownLatch(1);
        group.getEndOfDataNotifier(fixture.executor).registerListener(note -> ended.countDown());
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        List<byte[]> events = new ArrayList<>();
        long limit = System.nanoTime() + 40_000_000_000L;
        while (true) {
            Expect.that(System.nanoTime() < limit, "the end of the stream comes within 40 s");
            EventRead<byte[]> read = reader.readNextEvent(300);
            if (read.getEvent() != null) {
                events.add(read.getEvent());
            } else if (read.isReadCompleted()) {
                break;
            }
        }
        expectRounds(events, 0, SEGMENTS.length);
        Expect.that(ended.await(20, TimeUnit.SECONDS), "the end is told");
        group.getEndOfDataNotifier(fixture.executor).unregisterAllListeners();
    }
}
