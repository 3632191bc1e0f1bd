package millrace.interop;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.Stream;
import java.util.List;

/** The first things that anyone tries. */
final class FirstEventCases {
    private FirstEventCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("first event: written and read back by the batch client", FirstEventCases::batch),
                Case.of("first event: written and read back by a reader group", FirstEventCases::group),
                Case.of("first event: a reader that waits gets it", FirstEventCases::waiting));
    }

    private static void batch(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("first", 1);
        fixture.writer("first").writeEvent("key", "hello".getBytes(UTF_8)).get();
        List<byte[]> events = Readers.batch(fixture, stream);
        Expect.equal(events.size(), 1, "the number of events");
        Expect.equal(new String(events.get(0), UTF_8), "hello", "the event");
    }

    private static void group(Fixture fixture) throws Exception {
        fixture.stream("first", 1);
        fixture.writer("first").writeEvent("key", "hello".getBytes(UTF_8)).get();
        fixture.group("readers", "first");
        Expect.equal(new String(Readers.next(fixture.reader("one", "readers")).getEvent(), UTF_8), "hello", "the event");
    }

    private static void waiting(Fixture fixture) throws Exception {
        fixture.stream("first", 1);
        fixture.group("readers", "first");
        var reader = fixture.reader("one", "readers");
        Readers.expectQuiet(reader);
        EventStreamWriter<byte[]> writer = fixture.writer("first");
        for (int i = 0; i < 20; i++) {
            writer.writeEvent("key", ("event " + i).getBytes(UTF_8)).get();
            Expect.equal(new String(Readers.next(reader).getEvent(), UTF_8), "event " + i, "the event");
        }
    }
}
