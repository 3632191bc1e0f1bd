package millrace.interop;

import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.Serializer;
import io.pravega.client.stream.Stream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;

/** Events from nothing to the largest, with their contents. */
final class SizeCases {
    /** Nothing comes first: an empty event at the very end of its range is one that the batch client fails to read. */
    private static final int[] SIZES = {
        0, 1, 7, 8, 9, 100, 1000, 4095, 4096, 65_535, 65_536, 65_537, 500_000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1,
        2 << 20, (4 << 20) + 3, Serializer.MAX_EVENT_SIZE - 8, Serializer.MAX_EVENT_SIZE,
    };

    private SizeCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("sizes: from 0 bytes to 8 MiB, each acknowledged", fixture -> sizes(fixture, true)).within(Duration.ofSeconds(120)),
                Case.of("sizes: from 0 bytes to 8 MiB, all under way at once", fixture -> sizes(fixture, false))
                        .within(Duration.ofSeconds(120)),
                Case.of("sizes: large and small events mixed", SizeCases::mixed),
                Case.of("sizes: an event above 8 MiB is refused and the writer goes on", SizeCases::tooLarge),
                Case.of("sizes: large events above 8 MiB, when they are enabled", SizeCases::largeEvents).within(Duration.ofSeconds(120)),
                Case.of("sizes: large batches above 8 MiB, when they are enabled", SizeCases::largeBatches)
                        .within(Duration.ofSeconds(120)));
    }

    private static void sizes(Fixture fixture, boolean oneByOne) throws Exception {
        Stream stream = fixture.stream("stream", 1);
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        List<CompletableFuture<Void>> acks = new ArrayList<>();
        for (int i = 0; i < SIZES.length; i++) {
            CompletableFuture<Void> ack = writer.writeEvent("key", Numbered.bytes(i, SIZES[i]));
            if (oneByOne) {
                ack.get();
            }
            acks.add(ack);
        }
        for (CompletableFuture<Void> ack : acks) {
            ack.get();
        }
        fixture.group("readers", "stream");
        expectSizes(Readers.next(fixture.reader("one", "readers"), SIZES.length), "by a reader");
        expectSizes(Readers.batch(fixture, stream), "by the batch client");
    }

    private static void expectSizes(List<byte[]> events, String how) {
        Expect.equal(events.size(), SIZES.length, "the number of events " + how);
        for (int i = 0; i < SIZES.length; i++) {
            Expect.sameBytes(events.get(i), Numbered.bytes(i, SIZES[i]), "the event read " + how);
        }
    }

    private static void mixed(Fixture fixture) throws Exception {
        fixture.stream("stream", 4);
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        Random random = new Random(7);
        long[] next = new long[8];
        int count = 400;
        for (int i = 0; i < count; i++) {
            int key = random.nextInt(next.length);
            int bytes = random.nextInt(10) == 0 ? random.nextInt(1 << 20) : random.nextInt(2_000);
            writer.writeEvent(Numbered.keyName(key), Numbered.event(0, key, next[key]++, bytes));
        }
        writer.flush();
        fixture.group("readers", "stream");
        Readers.drain(fixture, List.of(fixture.reader("one", "readers"), fixture.reader("two", "readers")), new Numbered.Ledger(count));
    }

    private static void tooLarge(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 1);
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        writer.writeEvent("key", Numbered.event(0, 0, 0, 100));
        Expect.fails(IllegalArgumentException.class, "writing 8 MiB and a byte",
                () -> writer.writeEvent("key", new byte[Serializer.MAX_EVENT_SIZE + 1]).get());
        writer.writeEvent("key", Numbered.event(0, 0, 1, 100)).get();
        Numbered.Ledger ledger = new Numbered.Ledger(2);
        Readers.batch(fixture, stream).forEach(ledger::accept);
        ledger.checkComplete();
    }

    private static void largeEvents(Fixture fixture) throws Exception {
        fixture.stream("stream", 2);
        EventStreamWriter<byte[]> writer = fixture.writer("stream", EventWriterConfig.builder().enableLargeEvents(true).build());
        int mebibyte = 1 << 20;
        int[] sizes = {100, 8 * mebibyte + 1, 20, 9 * mebibyte, 16 * mebibyte, 16 * mebibyte - 8, 5, 20 * mebibyte + 17, 300};
        for (int key = 0; key < 2; key++) {
            for (int i = 0; i < sizes.length; i++) {
                writer.writeEvent(Numbered.keyName(key), Numbered.event(0, key, i, sizes[i])).get();
            }
        }
        fixture.group("readers", "stream");
        Readers.drain(fixture, List.of(fixture.reader("one", "readers")), new Numbered.Ledger(2L * sizes.length));
    }

    private static void largeBatches(Fixture fixture) throws Exception {
        fixture.stream("stream", 1);
        EventStreamWriter<byte[]> writer = fixture.writer("stream", EventWriterConfig.builder().enableLargeEvents(true).build());
        long sequence = 0;
        for (int batch = 0; batch < 3; batch++) {
            List<byte[]> events = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                events.add(Numbered.event(0, 0, sequence++, 3_000_000 + i));
            }
            writer.writeEvents(Numbered.keyName(0), events).get();
            writer.writeEvent(Numbered.keyName(0), Numbered.event(0, 0, sequence++, 50)).get();
        }
        fixture.group("readers", "stream");
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        Readers.drain(fixture, List.of(reader), new Numbered.Ledger(sequence));
    }
}
