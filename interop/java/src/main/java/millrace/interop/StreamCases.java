package millrace.interop;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.pravega.client.admin.StreamInfo;
import io.pravega.client.admin.StreamManager;
import io.pravega.client.control.impl.ControllerFailureException;
import io.pravega.client.segment.impl.Segment;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.RetentionPolicy;
import io.pravega.client.stream.ScalingPolicy;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.StreamConfiguration;
import io.pravega.client.stream.StreamCut;
import java.time.Duration;
import java.util.Map;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

/** The life of a stream: made, changed, truncated, sealed, deleted, made again. */
final class StreamCases {
    private StreamCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("streams: a configuration is kept and changed", StreamCases::update),
                Case.of("streams: sixteen clients make one stream", StreamCases::race).within(Duration.ofSeconds(120)),
                Case.of("streams: a sealed stream can be read and nothing else", StreamCases::seal),
                Case.of("streams: truncation moves the head, never back", StreamCases::truncate),
                Case.of("streams: one made again has higher segment numbers and none of the old events", StreamCases::again),
                Case.of("streams: an auto-scaling policy is accepted", StreamCases::policies));
    }

    private static void update(Fixture fixture) {
        StreamManager streams = fixture.streams;
        StreamConfiguration first = StreamConfiguration.builder().scalingPolicy(ScalingPolicy.fixed(2))
                .retentionPolicy(RetentionPolicy.byTime(Duration.ofDays(1))).tag("a").build();
        streams.createStream(fixture.scope, "stream", first);
        Expect.equal(configuration(fixture), first, "the configuration");
        StreamConfiguration second = StreamConfiguration.builder().scalingPolicy(ScalingPolicy.fixed(2))
                .retentionPolicy(RetentionPolicy.bySizeBytes(1_000_000)).tag("b").tag("c").build();
        Expect.that(streams.updateStream(fixture.scope, "stream", second), "the stream is updated");
        Expect.equal(configuration(fixture), second, "the configuration");
        Expect.equal(streams.getStreamTags(fixture.scope, "stream"), Set.of("b", "c"), "the tags");
        Expect.that(streams.updateStream(fixture.scope, "stream", Fixture.segments(2)), "the stream is updated");
        Expect.equal(configuration(fixture), Fixture.segments(2), "the configuration");
        Expect.equal(streams.getStreamTags(fixture.scope, "stream"), Set.of(), "the tags");
        StreamInfo info = streams.fetchStreamInfo(fixture.scope, "stream").join();
        Expect.that(!info.isSealed(), "the stream is not sealed");
        Expect.equal(positions(info.getTailStreamCut()), Map.of(0L, 0L, 1L, 0L), "the tail");
    }

    private static StreamConfiguration configuration(Fixture fixture) {
        return fixture.streams.fetchStreamInfo(fixture.scope, "stream").join().getStreamConfiguration();
    }

    private static void race(Fixture fixture) throws Exception {
        AtomicInteger made = new AtomicInteger();
        fixture.together(16, number -> {
            try (StreamManager streams = StreamManager.create(fixture.config)) {
                if (streams.createStream(fixture.scope, "stream", Fixture.segments(2))) {
                    made.incrementAndGet();
                }
            }
        });
        Expect.equal(made.get(), 1, "the number of clients that made the stream");
        fixture.writer("stream").writeEvent("key", "event".getBytes(UTF_8)).get();
        Expect.equal(Readers.batch(fixture, Stream.of(fixture.scope, "stream")).size(), 1, "the number of events");
    }

    private static void seal(Fixture fixture) throws Exception {
        StreamManager streams = fixture.streams;
        Stream stream = fixture.stream("stream", 2);
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        for (int i = 0; i < 10; i++) {
            writer.writeEvent(Numbered.keyName(i), ("event " + i).getBytes(UTF_8)).get();
        }
        StreamCut head = fixture.head(stream);
        Expect.that(streams.sealStream(fixture.scope, "stream"), "the stream is sealed");
        Expect.that(streams.sealStream(fixture.scope, "stream"), "sealing again changes nothing");
        Expect.that(streams.fetchStreamInfo(fixture.scope, "stream").join().isSealed(), "it says so");
        Expect.fails(RuntimeException.class, "writing to a sealed stream",
                () -> writer.writeEvent("key", "late".getBytes(UTF_8)).get());
        Expect.fails(UnsupportedOperationException.class, "updating a sealed stream",
                () -> streams.updateStream(fixture.scope, "stream", Fixture.segments(2)));
        Expect.fails(UnsupportedOperationException.class, "truncating a sealed stream",
                () -> streams.truncateStream(fixture.scope, "stream", head));
        fixture.group("readers", "stream");
        var reader = fixture.reader("one", "readers");
        Expect.equal(Readers.next(reader, 10).size(), 10, "the number of events");
        reader.close();
        fixture.groups().deleteReaderGroup("readers");
        Expect.that(streams.deleteStream(fixture.scope, "stream"), "it is deleted");
        Expect.that(!streams.checkStreamExists(fixture.scope, "stream"), "it does not exist any more");
    }

    private static void truncate(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        StreamCut start = fixture.head(stream);
        for (int i = 0; i < 100; i++) {
            writer.writeEvent(Numbered.keyName(i), ("old " + i).getBytes(UTF_8));
        }
        writer.flush();
        StreamCut middle = fixture.tail(stream);
        for (int i = 0; i < 100; i++) {
            writer.writeEvent(Numbered.keyName(i), ("new " + i).getBytes(UTF_8));
        }
        writer.flush();
        Expect.that(fixture.streams.truncateStream(fixture.scope, "stream", middle), "the stream is truncated");
        Expect.equal(positions(fixture.head(stream)), positions(middle), "the head");
        List<byte[]> left = Readers.batch(fixture, stream);
        Expect.equal(left.size(), 100, "the number of events left");
        Expect.that(left.stream().allMatch(event -> new String(event, UTF_8).startsWith("new")), "the old events are gone");
        Expect.fails(ControllerFailureException.class, "truncating backwards",
                () -> fixture.streams.truncateStream(fixture.scope, "stream", start));
        Expect.equal(positions(fixture.head(stream)), positions(middle), "the head");
        fixture.group("readers", "stream");
        var reader = fixture.reader("one", "readers");
        for (byte[] event : Readers.next(reader, 100)) {
            Expect.that(new String(event, UTF_8).startsWith("new"), "a group begins at the head");
        }
        Readers.expectQuiet(reader);
    }

    private static void again(Fixture fixture) throws Exception {
        long highest = -1;
        for (int round = 0; round < 3; round++) {
            Stream stream = fixture.stream("stream", 2);
            Expect.equal(Readers.batch(fixture, stream).size(), 0, "the number of events in a new stream");
            fixture.writer("stream").writeEvent("key", ("round " + round).getBytes(UTF_8)).get();
            Set<Long> segments = positions(fixture.tail(stream)).keySet();
            long lowest = segments.stream().mapToLong(id -> (int) (long) id).min().orElseThrow();
            Expect.that(lowest > highest, "segment numbers go up: " + segments + " after " + highest);
            highest = segments.stream().mapToLong(id -> (int) (long) id).max().orElseThrow();
            Expect.equal(new String(Readers.batch(fixture, stream).get(0), UTF_8), "round " + round, "the event");
            Expect.that(fixture.streams.sealStream(fixture.scope, "stream"), "it is sealed");
            Expect.that(fixture.streams.deleteStream(fixture.scope, "stream"), "it is deleted");
        }
    }

    private static void policies(Fixture fixture) throws Exception {
        for (ScalingPolicy policy : List.of(ScalingPolicy.byEventRate(1000, 2, 3), ScalingPolicy.byDataRate(1000, 2, 1))) {
            String name = "by-" + policy.getScaleType().name().toLowerCase(java.util.Locale.ROOT).replace('_', '-');
            StreamConfiguration configuration = StreamConfiguration.builder().scalingPolicy(policy).build();
            Expect.that(fixture.streams.createStream(fixture.scope, name, configuration), "the stream is made");
            StreamInfo info = fixture.streams.fetchStreamInfo(fixture.scope, name).join();
            Expect.equal(info.getStreamConfiguration(), configuration, "the configuration");
            Expect.equal(positions(info.getTailStreamCut()).size(), policy.getMinNumSegments(), "the number of segments");
            fixture.writer(name).writeEvent("key", "event".getBytes(UTF_8)).get();
        }
    }

    /** Offsets by segment id. */
    static Map<Long, Long> positions(StreamCut cut) {
        Map<Long, Long> positions = new java.util.TreeMap<>();
        for (Map.Entry<Segment, Long> entry : cut.asImpl().getPositions().entrySet()) {
            positions.put(entry.getKey().getSegmentId(), entry.getValue());
        }
        return positions;
    }
}
