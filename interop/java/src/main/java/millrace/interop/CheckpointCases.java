package millrace.interop;

import io.pravega.client.admin.impl.ReaderGroupManagerImpl;
import io.pravega.client.connection.impl.SocketConnectionFactoryImpl;
import io.pravega.client.control.impl.Controller;
import io.pravega.client.stream.Checkpoint;
import io.pravega.client.stream.EventRead;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.ReaderGroup;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.ReaderGroupConfig.StreamDataRetention;
import io.pravega.client.stream.ReinitializationRequiredException;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.StreamCut;
import io.pravega.client.stream.impl.MaxNumberOfCheckpointsExceededException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

/** Points to which a group can go back, made by hand and by themselves. */
final class CheckpointCases {
    private CheckpointCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("checkpoints: a group goes back to one", CheckpointCases::reset),
                Case.of("checkpoints: a new group starts at one", CheckpointCases::start),
                Case.of("checkpoints: several readers take part", CheckpointCases::several),
                Case.of("checkpoints: they come by themselves, and reading ends with a sealed stream", CheckpointCases::automatic),
                Case.of("checkpoints: a reader that died is replaced from the last one", CheckpointCases::death),
                Case.of("checkpoints: outstanding ones can be cancelled", CheckpointCases::cancel),
                Case.of("checkpoints: the cuts of a group without a checkpoint event", CheckpointCases::silent),
                Case.of("checkpoints: a group publishes what it needs no more", CheckpointCases::subscriber),
                Case.of("checkpoints: a group publishes by itself at each one", CheckpointCases::automaticSubscriber),
                Case.of("checkpoints: a scope with a subscriber is deleted", CheckpointCases::scopeOfSubscriber).oursOnly());
    }

    private static void write(Fixture fixture, int from, int to) {
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        for (int i = from; i < to; i++) {
            writer.writeEvent(Numbered.keyName(i % 10), Numbered.event(0, i % 10, i / 10, 60));
        }
        writer.flush();
    }

    private static Checkpoint checkpoint(Fixture fixture, ReaderGroup group, EventStreamReader<byte[]> reader, String name) throws Exception {
        CompletableFuture<Checkpoint> future = group.initiateCheckpoint(name, fixture.executor);
        Readers.passCheckpoint(reader, name);
        // The position counts as of the checkpoint once the reader asks again.
        CompletableFuture<Void> done = future.thenRun(() -> { });
        while (!done.isDone()) {
            Expect.that(reader.readNextEvent(100).getEvent() == null, "nothing comes");
        }
        return future.get();
    }

    private static void reset(Fixture fixture) throws Exception {
        fixture.stream("stream", 2);
        write(fixture, 0, 100);
        ReaderGroup group = fixture.group("readers", "stream");
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        Numbered.Ledger first = new Numbered.Ledger(100);
        Readers.next(reader, 100).forEach(first::accept);
        Checkpoint checkpoint = checkpoint(fixture, group, reader, "hundred");
        Checkpoint stored = Checkpoint.fromBytes(checkpoint.toBytes());
        write(fixture, 100, 200);
        Readers.next(reader, 100).forEach(first::accept);
        for (int round = 0; round < 2; round++) {
            group.resetReaderGroup(Fixture.groupConfig().startFromCheckpoint(stored).build());
            EventStreamReader<byte[]> old = reader;
            Expect.fails(ReinitializationRequiredException.class, "reading on after a reset", () -> {
                long end = System.nanoTime() + 30_000_000_000L;
                while (System.nanoTime() < end) {
                    old.readNextEvent(Readers.TURN_MS);
                }
            });
            reader = fixture.reader("again-" + round, "readers");
            Set<Long> seen = new HashSet<>();
            for (byte[] event : Readers.next(reader, 100)) {
                seen.add(number(event));
            }
            Expect.that(seen.size() == 100 && seen.stream().allMatch(number -> number >= 100), "the second hundred comes again");
            Readers.expectQuiet(reader);
        }
    }

    /** The place of an event among all that a case wrote. */
    private static long number(byte[] event) {
        java.nio.ByteBuffer buffer = java.nio.ByteBuffer.wrap(event);
        return buffer.getLong(8) * 10 + buffer.getInt(4);
    }

    private static void start(Fixture fixture) throws Exception {
        fixture.stream("stream", 3);
        write(fixture, 0, 100);
        ReaderGroup group = fixture.group("readers", "stream");
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        Readers.next(reader, 100);
        Checkpoint checkpoint = checkpoint(fixture, group, reader, "hundred");
        write(fixture, 100, 150);
        fixture.group("others", Fixture.groupConfig().startFromCheckpoint(checkpoint).build());
        EventStreamReader<byte[]> other = fixture.reader("one", "others");
        for (byte[] event : Readers.next(other, 50)) {
            Expect.that(number(event) >= 100, "nothing before the checkpoint comes");
        }
        Readers.expectQuiet(other);
    }

    private static void several(Fixture fixture) throws Exception {
        fixture.stream("stream", 4);
        write(fixture, 0, 2_000);
        ReaderGroup group = fixture.group("readers", "stream");
        List<EventStreamReader<byte[]>> readers = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            readers.add(fixture.reader("reader-" + i, "readers"));
        }
        Set<Long> before = new HashSet<>();
        CompletableFuture<Checkpoint> checkpoint = group.initiateCheckpoint("middle", fixture.executor);
        fixture.together(4, number -> {
            boolean passed = false;
            int count = 0;
            while (!passed || !checkpoint.isDone()) {
                // A few events before the checkpoint, none after it: so the cut is known exactly.
                EventRead<byte[]> read = readers.get(number).readNextEvent(100);
                passed |= read.isCheckpoint();
                if (read.getEvent() != null && !passed) {
                    synchronized (before) {
                        before.add(number(read.getEvent()));
                    }
                    count++;
                }
                if (passed || count > 1_000) {
                    break;
                }
            }
            // Asking again is what tells the group that the checkpoint was passed; the event belongs to what comes after.
            while (!checkpoint.isDone()) {
                readers.get(number).readNextEvent(50);
            }
        });
        Set<Long> after = new HashSet<>();
        fixture.group("others", Fixture.groupConfig().startFromCheckpoint(checkpoint.get()).build());
        EventStreamReader<byte[]> other = fixture.reader("one", "others");
        for (byte[] event : Readers.next(other, 2_000 - before.size())) {
            Expect.that(!before.contains(number(event)), "what came before the checkpoint does not come again");
            after.add(number(event));
        }
        Expect.equal(before.size() + after.size(), 2_000, "the number of events before and after the checkpoint");
        Readers.expectQuiet(other);
    }

    private static void automatic(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        write(fixture, 0, 100);
        fixture.group("readers", ReaderGroupConfig.builder().stream(stream)
                .automaticCheckpointIntervalMillis(500).groupRefreshTimeMillis(300).build());
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        Numbered.Ledger ledger = new Numbered.Ledger(100);
        int checkpoints = 0;
        boolean sealed = false;
        long end = System.nanoTime() + 40_000_000_000L;
        while (true) {
            Expect.that(System.nanoTime() < end, "the end of the stream comes within 40 s");
            EventRead<byte[]> read = reader.readNextEvent(300);
            if (read.getEvent() != null) {
                ledger.accept(read.getEvent());
            } else if (read.isCheckpoint()) {
                checkpoints++;
            } else if (read.isReadCompleted()) {
                break;
            }
            if (!sealed && checkpoints >= 3 && ledger.isComplete()) {
                sealed = fixture.streams.sealStream(fixture.scope, "stream");
            }
        }
        Expect.that(sealed, "reading ends after the stream is sealed, not before");
        ledger.checkComplete();
    }

    private static void death(Fixture fixture) throws Exception {
        fixture.stream("stream", 2);
        write(fixture, 0, 100);
        ReaderGroup group = fixture.group("readers", "stream");
        EventStreamReader<byte[]> dead = fixture.reader("dead", "readers");
        Readers.next(dead, 100);
        checkpoint(fixture, group, dead, "hundred");
        write(fixture, 100, 200);
        Readers.next(dead, 50);
        // Nobody knows where it was: what it read after the checkpoint comes again, what it read before does not.
        group.readerOffline("dead", null);
        EventStreamReader<byte[]> next = fixture.reader("next", "readers");
        Set<Long> seen = new HashSet<>();
        for (byte[] event : Readers.next(next, 100)) {
            Expect.that(number(event) >= 100, "nothing before the checkpoint comes again");
            seen.add(number(event));
        }
        Expect.equal(seen.size(), 100, "the number of different events");
        Readers.expectQuiet(next);
    }

    private static void cancel(Fixture fixture) throws Exception {
        fixture.stream("stream", 1);
        write(fixture, 0, 10);
        fixture.group("readers", "stream");
        // With one thread, as ReaderGroupManager.withScope has it, several outstanding checkpoints wait for each other for ever.
        ReaderGroup group = fixture.closing(fixture.closing(new ReaderGroupManagerImpl(fixture.scope, fixture.config,
                new SocketConnectionFactoryImpl(fixture.config))).getReaderGroup("readers"));
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        Readers.next(reader, 10);
        List<CompletableFuture<Checkpoint>> outstanding = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            outstanding.add(group.initiateCheckpoint("never-" + i, fixture.executor));
        }
        Expect.fails(MaxNumberOfCheckpointsExceededException.class, "a fourth outstanding checkpoint",
                () -> group.initiateCheckpoint("fourth", fixture.executor).get());
        group.cancelOutstandingCheckpoints();
        for (CompletableFuture<Checkpoint> future : outstanding) {
            Expect.fails(Exception.class, "a cancelled checkpoint", future::get);
        }
        checkpoint(fixture, group, reader, "after");
    }

    private static void silent(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        write(fixture, 0, 100);
        ReaderGroup group = fixture.group("readers", "stream");
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        Readers.next(reader, 100);
        CompletableFuture<Map<Stream, StreamCut>> cuts = group.generateStreamCuts(fixture.executor);
        while (!cuts.isDone()) {
            EventRead<byte[]> read = reader.readNextEvent(100);
            Expect.that(read.getEvent() == null && !read.isCheckpoint(), "the reader sees nothing of it");
        }
        StreamCut tail = fixture.tail(stream);
        Expect.equal(StreamCases.positions(cuts.get().get(stream)), StreamCases.positions(tail), "the cut");
    }

    private static void subscriber(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        write(fixture, 0, 100);
        Controller controller = fixture.controller();
        ReaderGroup group = fixture.group("readers", Fixture.groupConfig().stream(stream)
                .retentionType(StreamDataRetention.MANUAL_RELEASE_AT_USER_STREAMCUT).build());
        fixture.group("bystanders", "stream");
        Expect.equal(controller.listSubscribers(fixture.scope, "stream").join(), List.of(fixture.scope + "/readers"), "the subscribers");
        group.updateRetentionStreamCut(Map.of(stream, fixture.tail(stream)));
        group.resetReaderGroup(Fixture.groupConfig().stream(stream).build());
        Expect.equal(controller.listSubscribers(fixture.scope, "stream").join(), List.of(), "the subscribers");
        Expect.fails(UnsupportedOperationException.class, "publishing without being a subscriber",
                () -> group.updateRetentionStreamCut(Map.of(stream, fixture.tail(stream))));
        group.resetReaderGroup(Fixture.groupConfig().stream(stream)
                .retentionType(StreamDataRetention.MANUAL_RELEASE_AT_USER_STREAMCUT).build());
        Expect.equal(controller.listSubscribers(fixture.scope, "stream").join().size(), 1, "the number of subscribers");
        fixture.groups().deleteReaderGroup("readers");
        Expect.equal(controller.listSubscribers(fixture.scope, "stream").join(), List.of(), "the subscribers");
    }

    private static void automaticSubscriber(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        write(fixture, 0, 100);
        ReaderGroup group = fixture.group("readers", Fixture.groupConfig().stream(stream)
                .retentionType(StreamDataRetention.AUTOMATIC_RELEASE_AT_LAST_CHECKPOINT).build());
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        Numbered.Ledger ledger = new Numbered.Ledger(200);
        Readers.next(reader, 100).forEach(ledger::accept);
        checkpoint(fixture, group, reader, "hundred");
        write(fixture, 100, 200);
        Readers.next(reader, 100).forEach(ledger::accept);
        ledger.checkComplete();
        Expect.equal(fixture.controller().listSubscribers(fixture.scope, "stream").join(), List.of(fixture.scope + "/readers"),
                "the subscribers");
        // Pravega's own controller never ends the deletion of a scope whose streams have a subscriber, nor any that is asked for after it.
        reader.close();
        fixture.groups().deleteReaderGroup("readers");
    }

    private static void scopeOfSubscriber(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        fixture.group("readers", Fixture.groupConfig().stream(stream)
                .retentionType(StreamDataRetention.AUTOMATIC_RELEASE_AT_LAST_CHECKPOINT).build());
        Expect.that(fixture.streams.deleteScopeRecursive(fixture.scope), "the scope is deleted");
        Expect.that(!fixture.streams.checkScopeExists(fixture.scope), "it does not exist any more");
    }
}
