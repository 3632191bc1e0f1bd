package millrace.interop;

import io.pravega.client.stream.ConfigMismatchException;
import io.pravega.client.stream.EventRead;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.ReaderGroup;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.ReaderGroupNotFoundException;
import io.pravega.client.stream.ReinitializationRequiredException;
import io.pravega.client.stream.Stream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Readers of one group share its segments and take over from each other. */
final class GroupCases {
    private GroupCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("groups: made once, changed by a reset, deleted, made again", GroupCases::life),
                Case.of("groups: several groups read independently", GroupCases::independent),
                Case.of("groups: one group reads two streams", GroupCases::twoStreams),
                Case.of("groups: a reader that closes hands over where it stopped", GroupCases::handOver),
                Case.of("groups: a reader declared offline hands over at its position", GroupCases::offline),
                Case.of("groups: a reader that comes later takes its share at a checkpoint", GroupCases::lateReader),
                Case.of("groups: a reader that was declared offline notices", GroupCases::declaredOffline),
                Case.of("groups: a reader name can be used once at a time", GroupCases::readerName),
                Case.of("groups: unread bytes", GroupCases::unreadBytes),
                Case.of("groups: sixteen readers, four segments", GroupCases::moreReadersThanSegments));
    }

    private static void write(Fixture fixture, String stream, int from, int to) {
        EventStreamWriter<byte[]> writer = fixture.writer(stream);
        for (int i = from; i < to; i++) {
            writer.writeEvent(Numbered.keyName(i % 10), Numbered.event(0, i % 10, i / 10, 60));
        }
        writer.flush();
    }

    private static void life(Fixture fixture) {
        Stream stream = fixture.stream("stream", 2);
        ReaderGroupConfig config = Fixture.groupConfig().stream(stream).build();
        ReaderGroup group = fixture.group("readers", config);
        Expect.equal(group.getStreamNames(), Set.of(stream.getScopedName()), "its streams");
        Expect.equal(group.getOnlineReaders(), Set.of(), "its readers");
        Expect.that(fixture.groups().createReaderGroup("readers", config), "the same group again is true before an update");
        Expect.fails(ConfigMismatchException.class, "the same name with another configuration", () ->
                fixture.groups().createReaderGroup("readers", config.toBuilder().groupRefreshTimeMillis(750).build()));
        group.resetReaderGroup(config.toBuilder().groupRefreshTimeMillis(900).build());
        fixture.groups().deleteReaderGroup("readers");
        Expect.fails(ReaderGroupNotFoundException.class, "getting a deleted group", () -> fixture.groups().getReaderGroup("readers"));
        fixture.group("readers", config);
        write(fixture, "stream", 0, 10);
        Expect.equal(Readers.next(fixture.reader("one", "readers"), 10).size(), 10, "the number of events");
    }

    private static void independent(Fixture fixture) throws Exception {
        fixture.stream("stream", 2);
        write(fixture, "stream", 0, 1_000);
        fixture.together(5, number -> {
            fixture.group("readers-" + number, "stream");
            Readers.drain(fixture, List.of(fixture.reader("one", "readers-" + number)), new Numbered.Ledger(1_000));
        });
    }

    private static void twoStreams(Fixture fixture) throws Exception {
        fixture.stream("left", 2);
        fixture.stream("right", 3);
        EventStreamWriter<byte[]> left = fixture.writer("left");
        EventStreamWriter<byte[]> right = fixture.writer("right");
        for (int i = 0; i < 500; i++) {
            left.writeEvent(Numbered.keyName(i % 10), Numbered.event(1, i % 10, i / 10, 60));
            right.writeEvent(Numbered.keyName(i % 10), Numbered.event(2, i % 10, i / 10, 60));
        }
        left.flush();
        right.flush();
        fixture.group("readers", "left", "right");
        Readers.drain(fixture, List.of(fixture.reader("one", "readers"), fixture.reader("two", "readers")), new Numbered.Ledger(1_000));
    }

    private static void handOver(Fixture fixture) throws Exception {
        fixture.stream("stream", 4);
        write(fixture, "stream", 0, 1_000);
        ReaderGroup group = fixture.group("readers", "stream");
        Numbered.Ledger ledger = new Numbered.Ledger(1_000);
        for (int part = 0; part < 3; part++) {
            EventStreamReader<byte[]> reader = fixture.reader("reader-" + part, "readers");
            Readers.next(reader, 250).forEach(ledger::accept);
            Expect.equal(group.getOnlineReaders(), Set.of("reader-" + part), "the readers");
            reader.close();
        }
        Readers.drain(fixture, List.of(fixture.reader("last", "readers")), ledger);
    }

    private static void offline(Fixture fixture) throws Exception {
        fixture.stream("stream", 2);
        write(fixture, "stream", 0, 1_000);
        ReaderGroup group = fixture.group("readers", "stream");
        Numbered.Ledger ledger = new Numbered.Ledger(1_000);
        EventStreamReader<byte[]> gone = fixture.reader("gone", "readers");
        EventRead<byte[]> last = null;
        for (int i = 0; i < 400; i++) {
            last = Readers.next(gone);
            ledger.accept(last.getEvent());
        }
        group.readerOffline("gone", last.getPosition());
        Expect.equal(group.getOnlineReaders(), Set.of(), "the readers");
        Readers.drain(fixture, List.of(fixture.reader("next", "readers")), ledger);
    }

    private static void declaredOffline(Fixture fixture) throws Exception {
        fixture.stream("stream", 1);
        write(fixture, "stream", 0, 100);
        ReaderGroup group = fixture.group("readers", "stream");
        EventStreamReader<byte[]> gone = fixture.reader("gone", "readers");
        Numbered.Ledger ledger = new Numbered.Ledger(100);
        EventRead<byte[]> last = Readers.next(gone);
        ledger.accept(last.getEvent());
        group.readerOffline("gone", last.getPosition());
        Readers.drain(fixture, List.of(fixture.reader("next", "readers")), ledger);
        Expect.fails(ReinitializationRequiredException.class, "reading on", () -> {
            long end = System.nanoTime() + 30_000_000_000L;
            while (System.nanoTime() < end) {
                gone.readNextEvent(Readers.TURN_MS);
            }
        });
    }

    private static void readerName(Fixture fixture) {
        fixture.stream("stream", 1);
        fixture.group("readers", "stream");
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        Expect.fails(IllegalStateException.class, "a second reader of that name", () -> fixture.reader("one", "readers"));
        reader.close();
        fixture.reader("one", "readers");
    }

    private static void lateReader(Fixture fixture) throws Exception {
        fixture.stream("stream", 4);
        write(fixture, "stream", 0, 400);
        Stream stream = Stream.of(fixture.scope, "stream");
        ReaderGroup group = fixture.group("readers", ReaderGroupConfig.builder().stream(stream)
                .automaticCheckpointIntervalMillis(1_000).groupRefreshTimeMillis(500).build());
        Numbered.Ledger ledger = new Numbered.Ledger(800);
        EventStreamReader<byte[]> first = fixture.reader("first", "readers");
        Readers.next(first, 400).forEach(ledger::accept);
        Expect.equal(group.getReaderSegmentDistribution().getReaderSegmentDistribution(), Map.of("first", 4), "who has what");
        EventStreamReader<byte[]> second = fixture.reader("second", "readers");
        Expect.eventually(Duration.ofSeconds(40), "the readers have two segments each", () -> {
            Expect.that(first.readNextEvent(200).getEvent() == null && second.readNextEvent(200).getEvent() == null, "nothing comes twice");
            return group.getReaderSegmentDistribution().getReaderSegmentDistribution().equals(Map.of("first", 2, "second", 2));
        });
        write(fixture, "stream", 400, 800);
        Readers.drain(fixture, List.of(first, second), ledger);
    }

    private static void unreadBytes(Fixture fixture) throws Exception {
        fixture.stream("stream", 1);
        ReaderGroup group = fixture.group("readers", "stream");
        Expect.equal(group.getMetrics().unreadBytes(), 0L, "unread bytes of an empty stream");
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        writer.writeEvent("key", new byte[22]).get();
        writer.writeEvent("key", new byte[22]).get();
        Expect.equal(group.getMetrics().unreadBytes(), 60L, "unread bytes, headers of 8 included");
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        Readers.next(reader, 2);
        var checkpoint = group.initiateCheckpoint("read", fixture.executor);
        Readers.passCheckpoint(reader, "read");
        Readers.expectQuiet(reader);
        checkpoint.get();
        Expect.equal(group.getMetrics().unreadBytes(), 0L, "unread bytes once all is read");
        writer.writeEvent("key", new byte[22]).get();
        Expect.equal(group.getMetrics().unreadBytes(), 30L, "unread bytes after one more");
    }

    private static void moreReadersThanSegments(Fixture fixture) throws Exception {
        fixture.stream("stream", 4);
        write(fixture, "stream", 0, 1_000);
        fixture.group("readers", "stream");
        List<EventStreamReader<byte[]>> readers = new ArrayList<>();
        for (int i = 0; i < 16; i++) {
            readers.add(fixture.reader("reader-" + i, "readers"));
        }
        Numbered.Ledger ledger = new Numbered.Ledger(1_000);
        Readers.drain(fixture, readers, ledger);
    }
}
