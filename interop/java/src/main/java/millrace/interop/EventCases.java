package millrace.interop;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.pravega.client.stream.EventPointer;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.impl.UTF8StringSerializer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Many events: every one of them once, in order per key, however many segments, writers and readers there are. */
final class EventCases {
    private static final int KEYS = 100;

    private EventCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("events: 10,000 with keys on 1 segment", fixture -> segments(fixture, 1)),
                Case.of("events: 10,000 with keys on 4 segments", fixture -> segments(fixture, 4)),
                Case.of("events: 10,000 with keys on 16 segments", fixture -> segments(fixture, 16)),
                Case.of("events: 100,000 by four writers, read by groups of 1, 2 and 4 readers", EventCases::manyWriters)
                        .within(Duration.ofSeconds(120)),
                Case.of("events: 32 writers of a few events each", EventCases::smallWriters),
                Case.of("events: writers that come and go", EventCases::shortLives),
                Case.of("events: sixteen writers share connections", EventCases::pooled),
                Case.of("events: one at a time, each acknowledged before the next", EventCases::oneAtATime),
                Case.of("events: a flush waits for all acknowledgements", EventCases::flush),
                Case.of("events: batches by writeEvents stay whole and in order", EventCases::batches),
                Case.of("events: without keys they spread over the segments", EventCases::noKeys),
                Case.of("events: texts and keys in any script", EventCases::texts),
                Case.of("events: a pointer leads back to its event", EventCases::pointers),
                Case.of("events: read while they are written", EventCases::tail));
    }

    private static void write(EventStreamWriter<byte[]> writer, int id, int count, int bytes) throws Exception {
        List<CompletableFuture<Void>> acks = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int key = i % KEYS;
            acks.add(writer.writeEvent(Numbered.keyName(key), Numbered.event(id, key, i / KEYS, bytes)));
        }
        writer.flush();
        for (CompletableFuture<Void> ack : acks) {
            ack.get();
        }
    }

    private static void segments(Fixture fixture, int segments) throws Exception {
        Stream stream = fixture.stream("stream", segments);
        write(fixture.writer("stream"), 0, 10_000, 100);
        Set<Long> used = new HashSet<>();
        StreamCases.positions(fixture.tail(stream)).forEach((segment, offset) -> {
            if (offset > 0) {
                used.add(segment);
            }
        });
        Expect.equal(used.size(), segments, "the number of segments with events");
        fixture.group("readers", "stream");
        Readers.drain(fixture, List.of(fixture.reader("one", "readers")), new Numbered.Ledger(10_000));
        Numbered.Ledger batch = new Numbered.Ledger(10_000);
        Readers.batch(fixture, stream).forEach(batch::accept);
        batch.checkComplete();
    }

    private static void manyWriters(Fixture fixture) throws Exception {
        fixture.stream("stream", 4);
        int writers = 4;
        fixture.together(writers, number -> write(fixture.writer("stream"), number, 25_000, 40));
        for (int readers : new int[] {1, 2, 4}) {
            String group = "readers-" + readers;
            fixture.group(group, "stream");
            List<EventStreamReader<byte[]>> all = new ArrayList<>();
            for (int i = 0; i < readers; i++) {
                all.add(fixture.reader("reader-" + i, group));
            }
            Readers.drain(fixture, all, new Numbered.Ledger(100_000));
        }
    }

    private static void smallWriters(Fixture fixture) throws Exception {
        fixture.stream("stream", 4);
        int writers = 32;
        fixture.together(writers, number -> write(fixture.writer("stream"), number, 300, 30));
        fixture.group("readers", "stream");
        Readers.drain(fixture, List.of(fixture.reader("one", "readers")), new Numbered.Ledger(writers * 300));
    }

    private static void shortLives(Fixture fixture) throws Exception {
        fixture.stream("stream", 2);
        int writers = 50;
        for (int i = 0; i < writers; i++) {
            try (EventStreamWriter<byte[]> writer = fixture.events().createEventWriter("stream", Fixture.BYTES,
                    EventWriterConfig.builder().build())) {
                writer.writeEvent(Numbered.keyName(1), Numbered.event(i, 1, 0, 20));
                // Closing waits for the acknowledgement.
                writer.writeEvent(Numbered.keyName(2), Numbered.event(i, 2, 0, 20));
            }
        }
        fixture.group("readers", "stream");
        Readers.drain(fixture, List.of(fixture.reader("one", "readers")), new Numbered.Ledger(2 * writers));
    }

    private static void pooled(Fixture fixture) throws Exception {
        fixture.stream("stream", 16);
        EventWriterConfig config = EventWriterConfig.builder().enableConnectionPooling(true).build();
        int writers = 16;
        fixture.together(writers, number -> write(fixture.writer("stream", config), number, 2_000, 64));
        fixture.group("readers", "stream");
        Readers.drain(fixture, List.of(fixture.reader("one", "readers"), fixture.reader("two", "readers")),
                new Numbered.Ledger(writers * 2_000));
    }

    private static void oneAtATime(Fixture fixture) throws Exception {
        fixture.stream("stream", 1);
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        for (int i = 0; i < 300; i++) {
            writer.writeEvent("key", Numbered.event(0, 0, i, 100)).get();
        }
        fixture.group("readers", "stream");
        Readers.drain(fixture, List.of(fixture.reader("one", "readers")), new Numbered.Ledger(300));
    }

    private static void flush(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 4);
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        List<CompletableFuture<Void>> acks = new ArrayList<>();
        for (int i = 0; i < 5_000; i++) {
            acks.add(writer.writeEvent(Numbered.keyName(i % 7), Numbered.event(0, i % 7, i / 7, 200)));
        }
        writer.flush();
        Expect.equal(Readers.batch(fixture, stream).size(), 5_000, "the number of events after the flush");
        for (CompletableFuture<Void> ack : acks) {
            // The client lets go of a flush a little before it completes the last futures.
            ack.get(1, TimeUnit.SECONDS);
        }
    }

    private static void batches(Fixture fixture) throws Exception {
        fixture.stream("stream", 4);
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        List<CompletableFuture<Void>> acks = new ArrayList<>();
        long[] next = new long[KEYS];
        int count = 0;
        for (int batch = 0; batch < 500; batch++) {
            int key = batch % 10;
            List<byte[]> events = new ArrayList<>();
            // Some batches are larger than a block of the client's.
            int size = batch % 50 == 49 ? 2_000 : 1 + batch % 40;
            for (int i = 0; i < size; i++) {
                events.add(Numbered.event(0, key, next[key]++, 500));
            }
            count += size;
            acks.add(writer.writeEvents(Numbered.keyName(key), events));
            acks.add(writer.writeEvent(Numbered.keyName(key), Numbered.event(0, key, next[key]++, 30)));
            count++;
        }
        writer.flush();
        for (CompletableFuture<Void> ack : acks) {
            ack.get();
        }
        fixture.group("readers", "stream");
        Readers.drain(fixture, List.of(fixture.reader("one", "readers")), new Numbered.Ledger(count));
    }

    private static void noKeys(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 4);
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        for (int i = 0; i < 1_000; i++) {
            writer.writeEvent(Numbered.event(0, i, 0, 30));
        }
        writer.flush();
        StreamCases.positions(fixture.tail(stream)).forEach((segment, offset) ->
                Expect.that(offset > 0, "segment " + segment + " has events"));
        Numbered.Ledger ledger = new Numbered.Ledger(1_000);
        Readers.batch(fixture, stream).forEach(ledger::accept);
        ledger.checkComplete();
    }

    private static void texts(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 4);
        List<String> texts = List.of("plain", "Größe", "日本語", "עברית", "emoji 🏞️", "\u0000nul\u0000", "line\nline");
        try (EventStreamWriter<String> writer = fixture.events().createEventWriter("stream", new UTF8StringSerializer(),
                EventWriterConfig.builder().build())) {
            for (String text : texts) {
                writer.writeEvent("key " + text, text).get();
            }
        }
        Set<String> seen = new HashSet<>();
        Readers.batch(fixture, stream).forEach(event -> seen.add(new String(event, UTF_8)));
        Expect.equal(seen, new HashSet<>(texts), "the texts");
    }

    private static void pointers(Fixture fixture) throws Exception {
        fixture.stream("stream", 2);
        write(fixture.writer("stream"), 0, 200, 300);
        fixture.group("readers", "stream");
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        List<byte[]> events = new ArrayList<>();
        List<EventPointer> pointers = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            var read = Readers.next(reader);
            events.add(read.getEvent());
            pointers.add(EventPointer.fromBytes(read.getEventPointer().toBytes()));
        }
        for (int i = 0; i < 200; i += 13) {
            Expect.sameBytes(reader.fetchEvent(pointers.get(i)), events.get(i), "the event by the reader");
            Expect.sameBytes(fixture.streams.fetchEvent(pointers.get(i), Fixture.BYTES).get(), events.get(i), "the event by its pointer");
        }
    }

    private static void tail(Fixture fixture) throws Exception {
        fixture.stream("stream", 4);
        fixture.group("readers", "stream");
        var readers = List.of(fixture.reader("one", "readers"), fixture.reader("two", "readers"));
        AtomicInteger written = new AtomicInteger();
        var writing = fixture.start(() -> {
            EventStreamWriter<byte[]> writer = fixture.writer("stream");
            for (int i = 0; i < 20_000; i++) {
                writer.writeEvent(Numbered.keyName(i % KEYS), Numbered.event(0, i % KEYS, i / KEYS, 100));
                if (i % 500 == 499) {
                    writer.flush();
                    written.addAndGet(500);
                }
            }
            return null;
        });
        Readers.drain(fixture, readers, new Numbered.Ledger(20_000));
        Fixture.join(writing);
        Expect.equal(written.get(), 20_000, "the number of events written");
    }
}
