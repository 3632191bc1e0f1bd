package millrace.interop;

import io.pravega.client.control.impl.Controller;
import io.pravega.client.control.impl.ControllerFailureException;
import io.pravega.client.segment.impl.Segment;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.impl.SegmentWithRange;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;

/** Splitting and merging the segments of a stream by hand. */
final class ScaleCases {
    private ScaleCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("scale: segments split evenly and unevenly, and neighbours merge", ScaleCases::shapes),
                Case.of("scale: trap 34: successors come with all their predecessors", ScaleCases::successors),
                Case.of("scale: the whole stream at once", ScaleCases::whole),
                Case.of("scale: eight streams at once", ScaleCases::streams),
                Case.of("scale: asked for while another one runs", ScaleCases::together),
                Case.of("scale: how one stands", ScaleCases::check),
                Case.of("scale: wrong ranges are refused and leave no trace", ScaleCases::wrongRanges),
                Case.of("scale: segments that are not open are refused", ScaleCases::wrongSegments),
                Case.of("scale: not below the minimum of the policy", ScaleCases::minimum),
                Case.of("scale: an update to more segments scales", ScaleCases::update),
                Case.of("scale: not once a stream is sealed, and none that is not there", ScaleCases::sealed),
                Case.of("scale: trap 42: a stream made again after a scale has higher numbers", ScaleCases::again),
                Case.of("scale: trap 19: a writer goes on with the successors", ScaleCases::writer),
                Case.of("scale: many small ones under a writer", ScaleCases::manyUnderWriter));
    }

    private static void shapes(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 1);
        Expect.that(Scaling.scale(fixture, stream, List.of(0L), Map.of(0.0, 0.25, 0.25, 1.0)), "it splits unevenly");
        List<Scaling.Part> parts = expect(fixture, stream, 0.25);
        // Trap 32: the epoch is in the upper half of an id, and the number goes on in the lower one.
        Expect.equal(Set.copyOf(Scaling.ids(parts)), Set.of(1L << 32 | 1, 1L << 32 | 2), "the ids");
        Scaling.Part upper = parts.get(1);
        Expect.that(Scaling.scale(fixture, stream, List.of(upper.id), Scaling.even(0.25, 1, 3)), "one of them splits into three");
        parts = expect(fixture, stream, 0.25, 0.5, 0.75);
        Expect.equal(parts.get(0).epoch(), 1, "the epoch of the segment that stays");
        Expect.equal(Scaling.epoch(parts), 2, "the epoch of the new ones");
        Expect.that(Scaling.scale(fixture, stream, Scaling.ids(parts.subList(1, 3)), Map.of(0.25, 0.75)), "two of them merge");
        parts = expect(fixture, stream, 0.25, 0.75);
        // Two that are no neighbours, each cut anew, in one step.
        Expect.that(Scaling.scale(fixture, stream, List.of(parts.get(0).id, parts.get(2).id), new TreeMap<>(Map.of(
                0.0, 0.1, 0.1, 0.25, 0.75, 1.0))), "two apart from one another change at once");
        parts = expect(fixture, stream, 0.1, 0.25, 0.75);
        // A third border of neither: what was two becomes another two.
        Expect.that(Scaling.scale(fixture, stream, Scaling.ids(parts.subList(0, 3)), Map.of(0.0, 0.6, 0.6, 0.75)), "borders move");
        parts = expect(fixture, stream, 0.6, 0.75);
        Expect.that(Scaling.scale(fixture, stream, Scaling.ids(parts), Map.of(0.0, 1.0)), "all become one");
        parts = expect(fixture, stream);
        Expect.equal(Scaling.epoch(parts), 6, "the epoch, one for each scale");
        Set<Integer> numbers = new HashSet<>();
        for (int epoch = 0; epoch <= 6; epoch++) {
            List<Scaling.Part> then = Scaling.parts(fixture.controller().getEpochSegments(fixture.scope, "stream", epoch).join());
            Scaling.expectPartition(then);
            then.forEach(part -> numbers.add(part.number()));
        }
        Expect.equal(numbers.size(), 1 + 2 + 3 + 1 + 3 + 2 + 1, "the number of segments there ever were, none with another's number");
    }

    private static List<Scaling.Part> expect(Fixture fixture, Stream stream, double... borders) {
        List<Scaling.Part> parts = Scaling.current(fixture, stream);
        Scaling.expectPartition(parts);
        List<Double> seen = new ArrayList<>();
        List<Double> due = new ArrayList<>();
        parts.subList(1, parts.size()).forEach(part -> seen.add(part.low));
        for (double border : borders) {
            due.add(border);
        }
        Expect.equal(seen, due, "the borders between the segments");
        return parts;
    }

    private static void successors(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 3);
        List<Scaling.Part> before = Scaling.current(fixture, stream);
        for (Scaling.Part part : before) {
            Expect.equal(successors(fixture, part.id), Map.of(), "the successors of an open segment");
        }
        double[] border = {before.get(1).low, before.get(2).low};
        double middle = (border[0] + border[1]) / 2;
        Expect.that(Scaling.scale(fixture, stream, Scaling.ids(before.subList(0, 2)), Map.of(0.0, middle, middle, border[1])), "it scales");
        List<Scaling.Part> after = Scaling.current(fixture, stream);
        Map<Long, Set<Long>> ofFirst = Map.of(after.get(0).id, Set.of(0L, 1L));
        Map<Long, Set<Long>> ofSecond = Map.of(after.get(0).id, Set.of(0L, 1L), after.get(1).id, Set.of(1L));
        Expect.equal(successors(fixture, 0L), ofFirst, "the successors of the first");
        Expect.equal(successors(fixture, 1L), ofSecond, "the successors of the second");
        Expect.equal(successors(fixture, 2L), Map.of(), "the successors of the one that is still open");
        Expect.that(!fixture.controller().isSegmentOpen(new Segment(fixture.scope, "stream", 1)).join(), "a sealed segment is not open");
        Expect.that(fixture.controller().isSegmentOpen(new Segment(fixture.scope, "stream", 2)).join(), "the third segment is open");
        Expect.that(fixture.streams.sealStream(fixture.scope, "stream"), "the stream is sealed");
        Expect.equal(successors(fixture, 2L), Map.of(), "the successors at the end of the stream");
        Expect.equal(successors(fixture, 0L), ofFirst, "the successors of the first, still");
        // Trap 36.
        Expect.equal(fixture.controller().getCurrentSegments(fixture.scope, "stream").join().getNumberOfSegments(), 0,
                "the number of open segments of a sealed stream");
        // Trap 35.
        Expect.equal(fixture.controller().getSegmentsAtTime(stream, System.currentTimeMillis()).join().size(), 3,
                "the number of segments at the head");
    }

    private static Map<Long, Set<Long>> successors(Fixture fixture, long id) {
        Map<Long, Set<Long>> successors = new TreeMap<>();
        Map<SegmentWithRange, List<Long>> answer = fixture.controller().getSuccessors(new Segment(fixture.scope, "stream", id)).join()
                .getSegmentToPredecessor();
        answer.forEach((segment, predecessors) -> successors.put(segment.getSegment().getSegmentId(), new TreeSet<>(predecessors)));
        return successors;
    }

    private static void whole(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 1);
        for (int count : new int[] {7, 16, 3, 100, 1}) {
            Scaling.wholly(fixture, stream, count);
        }
    }

    private static void streams(Fixture fixture) throws Exception {
        fixture.together(8, number -> {
            Stream stream = fixture.stream("stream-" + number, 1);
            for (int count = 2; count <= 5; count++) {
                Scaling.wholly(fixture, stream, count);
            }
        });
    }

    /** Pravega refuses the others while one runs, Millrace does them in turn. What is refused leaves no trace, and can be asked again. */
    private static void together(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 4);
        List<Scaling.Part> parts = Scaling.current(fixture, stream);
        fixture.together(4, number -> {
            Scaling.Part part = parts.get(number);
            Map<Double, Double> halves = Scaling.even(part.low, part.high, 2);
            boolean done = false;
            for (int attempt = 0; attempt < 100 && !done; attempt++) {
                try {
                    done = Scaling.scale(fixture.controller(), stream, List.of(part.id), halves, fixture.executor);
                } catch (Exception e) {
                    Expect.that(Expect.unwrap(e) instanceof ControllerFailureException, "a refusal is no other failure than " + e);
                    Thread.sleep(50);
                }
            }
            Expect.that(done, "the split of segment " + number + " is done at last");
        });
        List<Scaling.Part> eight = Scaling.current(fixture, stream);
        Scaling.expectPartition(eight);
        Expect.equal(eight.size(), 8, "the number of segments");
        AtomicInteger asked = new AtomicInteger();
        fixture.together(8, number -> {
            try {
                Scaling.scale(fixture.controller(), stream, Scaling.ids(eight.subList(0, 2)), Map.of(0.0, eight.get(1).high),
                        fixture.executor);
            } catch (Exception e) {
                Expect.that(Expect.unwrap(e) instanceof ControllerFailureException, "a refusal is no other failure than " + e);
            }
            asked.incrementAndGet();
        });
        Expect.equal(asked.get(), 8, "the number of answers");
        List<Scaling.Part> seven = Scaling.current(fixture, stream);
        Scaling.expectPartition(seven);
        Expect.equal(seven.size(), 7, "the number of segments after eight clients asked for the same merge");
        Expect.equal(Scaling.epoch(seven), Scaling.epoch(eight) + 1, "the epoch, for it was one scale");
    }

    private static void check(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 1);
        Controller controller = fixture.controller();
        Expect.that(!controller.checkScaleStatus(stream, 0).join(), "the epoch that there is has not been scaled");
        Expect.that(controller.startScale(stream, List.of(0L), Map.of(0.0, 0.5, 0.5, 1.0)).join(), "a scale is begun");
        Expect.eventually(Duration.ofSeconds(30), "it ends", () -> controller.checkScaleStatus(stream, 0).join());
        Expect.equal(Scaling.current(fixture, stream).size(), 2, "the number of segments");
        Expect.that(!controller.checkScaleStatus(stream, 1).join(), "the next epoch has not been scaled");
        Expect.fails(ControllerFailureException.class, "asking about an epoch that is not there", () ->
                controller.checkScaleStatus(stream, 2).get());
        Expect.fails(ControllerFailureException.class, "asking about a stream that is not there", () ->
                controller.checkScaleStatus(Stream.of(fixture.scope, "nothing"), 0).get());
    }

    private static void wrongRanges(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        Map<String, Map<Double, Double>> wrong = new TreeMap<>();
        wrong.put("a gap", Map.of(0.0, 0.2, 0.3, 0.5));
        wrong.put("an overlap", Map.of(0.0, 0.3, 0.2, 0.5));
        wrong.put("less than the segment", Map.of(0.0, 0.4));
        wrong.put("more than the segment", Map.of(0.0, 0.6));
        wrong.put("keys of another segment", Map.of(0.5, 1.0));
        wrong.put("no range", Map.of());
        wrong.put("ranges from high to low", Map.of(0.5, 0.0));
        wrong.put("a range without a key", Map.of(0.0, 0.0, 0.1, 0.5));
        wrong.put("keys above all others", Map.of(0.0, 0.5, 0.5, 1.5));
        wrong.put("keys below all others", Map.of(-0.5, 0.0, 0.0, 0.5));
        wrong.put("a border that is no number", Map.of(0.0, Double.NaN));
        for (Map.Entry<String, Map<Double, Double>> each : wrong.entrySet()) {
            Expect.fails(ControllerFailureException.class, each.getKey(), () ->
                    Scaling.scale(fixture, stream, List.of(0L), each.getValue()));
        }
        Expect.fails(ControllerFailureException.class, "a scale that seals nothing", () ->
                Scaling.scale(fixture, stream, List.of(), Map.of(0.0, 1.0)));
        expectUntouched(fixture, stream);
    }

    private static void expectUntouched(Fixture fixture, Stream stream) throws Exception {
        Expect.equal(Scaling.ids(Scaling.current(fixture, stream)), List.of(0L, 1L), "the segments");
        fixture.writer("stream").writeEvent("key", new byte[10]).get();
        Expect.equal(Readers.batch(fixture, stream).size(), 1, "the number of events");
        Expect.equal(Scaling.epoch(Scaling.wholly(fixture, stream, 3)), 1, "the epoch of the first scale that was right");
    }

    private static void wrongSegments(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        Expect.that(!Scaling.scale(fixture, stream, List.of(7L), Map.of(0.0, 0.5)), "a segment that there never was is refused");
        Expect.that(!Scaling.scale(fixture, stream, List.of(0L, 7L), Map.of(0.0, 0.5)), "also beside one that there is");
        Expect.that(!Scaling.scale(fixture, stream, List.of(1L << 32), Map.of(0.0, 0.5)), "also one of an epoch to come");
        expectUntouched(fixture, stream);
        Expect.that(!Scaling.scale(fixture, stream, List.of(0L), Map.of(0.0, 0.25, 0.25, 0.5)), "a sealed segment is refused");
        Expect.equal(Scaling.current(fixture, stream).size(), 3, "the number of segments");
    }

    private static void minimum(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 4);
        List<Scaling.Part> parts = Scaling.current(fixture, stream);
        Expect.that(!Scaling.scale(fixture, stream, Scaling.ids(parts.subList(0, 2)), Map.of(0.0, 0.5)), "a merge to three is refused");
        Expect.equal(Scaling.ids(Scaling.current(fixture, stream)), Scaling.ids(parts), "the segments");
        parts = Scaling.wholly(fixture, stream, 6);
        Scaling.wholly(fixture, stream, 4);
    }

    private static void update(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 1);
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        writer.writeEvent(Numbered.keyName(0), Numbered.event(0, 0, 0, 50)).get();
        Expect.that(fixture.streams.updateStream(fixture.scope, "stream", Fixture.segments(3)), "the stream is updated");
        List<Scaling.Part> parts = Scaling.current(fixture, stream);
        Scaling.expectPartition(parts);
        Expect.equal(parts.size(), 3, "the number of segments");
        writer.writeEvent(Numbered.keyName(0), Numbered.event(0, 0, 1, 50)).get();
        Numbered.Ledger ledger = new Numbered.Ledger(2);
        Readers.batch(fixture, stream).forEach(ledger::accept);
        ledger.checkComplete();
    }

    private static void sealed(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 1);
        Expect.that(fixture.streams.sealStream(fixture.scope, "stream"), "the stream is sealed");
        Expect.fails(ControllerFailureException.class, "scaling a sealed stream", () ->
                fixture.controller().startScale(stream, List.of(0L), Map.of(0.0, 0.5, 0.5, 1.0)).get());
        Expect.fails(ControllerFailureException.class, "scaling a stream that is not there", () ->
                fixture.controller().startScale(Stream.of(fixture.scope, "nothing"), List.of(0L), Map.of(0.0, 0.5, 0.5, 1.0)).get());
        Expect.that(!fixture.streams.checkStreamExists(fixture.scope, "nothing"), "that does not make it");
    }

    private static void again(Fixture fixture) throws Exception {
        int highest = -1;
        for (int round = 0; round < 3; round++) {
            Stream stream = fixture.stream("stream", 2);
            List<Scaling.Part> parts = Scaling.current(fixture, stream);
            int lowest = parts.stream().mapToInt(Scaling.Part::number).min().orElseThrow();
            Expect.that(lowest > highest, "the numbers go up: " + parts + " after " + highest);
            parts = Scaling.wholly(fixture, stream, 5);
            highest = parts.stream().mapToInt(Scaling.Part::number).max().orElseThrow();
            Expect.that(fixture.streams.sealStream(fixture.scope, "stream"), "it is sealed");
            Expect.that(fixture.streams.deleteStream(fixture.scope, "stream"), "it is deleted");
        }
    }

    /** Some events are under way each time. */
    private static void writer(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 1);
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        int rounds = 6;
        List<CompletableFuture<Void>> acks = new ArrayList<>();
        for (int round = 0; round < rounds; round++) {
            for (int i = 0; i < 1_000; i++) {
                int sequence = round * 100 + i / 10;
                acks.add(writer.writeEvent(Numbered.keyName(i % 10), Numbered.event(0, i % 10, sequence, 500)));
            }
            Scaling.wholly(fixture, stream, 1 + (round * 3 + 2) % 5);
        }
        for (CompletableFuture<Void> ack : acks) {
            ack.get();
        }
        Numbered.Ledger ledger = new Numbered.Ledger(rounds * 1_000L);
        Readers.batch(fixture, stream).forEach(ledger::accept);
        ledger.checkComplete();
    }

    private static void manyUnderWriter(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 1);
        EventStreamWriter<byte[]> writer = fixture.writer("stream");
        Random random = new Random(42);
        List<CompletableFuture<Void>> acks = new ArrayList<>();
        for (int scale = 0; scale < 40; scale++) {
            for (int i = 0; i < 50; i++) {
                acks.add(writer.writeEvent(Numbered.keyName(i % 10), Numbered.event(0, i % 10, scale * 5L + i / 10, 100)));
            }
            Scaling.Plan plan = Scaling.random(fixture.controller(), stream, random, 1, 12);
            Expect.that(Scaling.quickly(fixture.controller(), stream, plan.epoch, plan.seal, plan.into), "scale " + scale + " is done");
        }
        for (CompletableFuture<Void> ack : acks) {
            ack.get();
        }
        Scaling.expectPartition(Scaling.current(fixture, stream));
        Numbered.Ledger ledger = new Numbered.Ledger(2_000);
        Readers.batch(fixture, stream).forEach(ledger::accept);
        ledger.checkComplete();
    }
}
