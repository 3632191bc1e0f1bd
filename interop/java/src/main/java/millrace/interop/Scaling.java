package millrace.interop;

import io.pravega.client.control.impl.Controller;
import io.pravega.client.segment.impl.Segment;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.impl.StreamSegments;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** Splits and merges of segments, as the client asks for them. */
final class Scaling {
    private static final long SECONDS_MAX = 60;

    private Scaling() {
    }

    /** An open segment and the keys that go there. */
    static final class Part {
        final long id;
        final double low;
        final double high;

        Part(long id, double low, double high) {
            this.id = id;
            this.low = low;
            this.high = high;
        }

        int epoch() {
            return (int) (id >>> 32);
        }

        int number() {
            return (int) id;
        }

        @Override
        public String toString() {
            return number() + ".#epoch." + epoch() + " [" + low + ", " + high + ")";
        }
    }

    /** In the order of their keys. */
    static List<Part> current(Controller controller, Stream stream) {
        return parts(controller.getCurrentSegments(stream.getScope(), stream.getStreamName()).join());
    }

    static List<Part> parts(StreamSegments segments) {
        List<Part> parts = new ArrayList<>();
        double low = 0;
        for (Segment segment : segments.getSegments()) {
            double high = highest(segments, segment, low);
            parts.add(new Part(segment.getSegmentId(), low, high));
            low = high;
        }
        return parts;
    }

    /** The client does not show the borders, but whose a key is; a border itself is below. Found to the last bit. */
    private static double highest(StreamSegments segments, Segment segment, double low) {
        long from = Double.doubleToLongBits(low);
        long to = Double.doubleToLongBits(1.0);
        while (from < to) {
            long middle = from + (to - from + 1) / 2;
            if (segments.getSegmentForKey(Double.longBitsToDouble(middle)).equals(segment)) {
                from = middle;
            } else {
                to = middle - 1;
            }
        }
        return Double.longBitsToDouble(from);
    }

    static int epoch(List<Part> parts) {
        return parts.stream().mapToInt(Part::epoch).max().orElseThrow();
    }

    static List<Long> ids(List<Part> parts) {
        return parts.stream().map(part -> part.id).collect(Collectors.toList());
    }

    /** So many ranges of the same width. */
    static Map<Double, Double> even(double low, double high, int count) {
        Map<Double, Double> ranges = new TreeMap<>();
        for (int i = 0; i < count; i++) {
            double from = i == 0 ? low : low + (high - low) * i / count;
            ranges.put(from, i == count - 1 ? high : low + (high - low) * (i + 1) / count);
        }
        return ranges;
    }

    /** True once it is done, false if the stream is not as the request takes it to be. */
    static boolean scale(Controller controller, Stream stream, List<Long> seal, Map<Double, Double> into,
                         ScheduledExecutorService executor) throws Exception {
        return controller.scaleStream(stream, seal, into, executor).getFuture().get(SECONDS_MAX, TimeUnit.SECONDS);
    }

    /** The same where nobody else scales. The client looks every second whether a scale is over; this asks more often. */
    static boolean quickly(Controller controller, Stream stream, int epoch, List<Long> seal, Map<Double, Double> into) throws Exception {
        if (!controller.startScale(stream, seal, into).get(SECONDS_MAX, TimeUnit.SECONDS)) {
            return false;
        }
        Expect.eventually(Duration.ofSeconds(SECONDS_MAX), "the scale of epoch " + epoch + " ends", () ->
                controller.checkScaleStatus(stream, epoch).get(SECONDS_MAX, TimeUnit.SECONDS));
        return true;
    }

    static boolean scale(Fixture fixture, Stream stream, List<Long> seal, Map<Double, Double> into) throws Exception {
        return quickly(fixture.controller(), stream, epoch(current(fixture, stream)), seal, into);
    }

    static List<Part> current(Fixture fixture, Stream stream) {
        return current(fixture.controller(), stream);
    }

    /** Replaces all segments. Answers those that there are then. */
    static List<Part> wholly(Fixture fixture, Stream stream, int count) throws Exception {
        Expect.that(scale(fixture, stream, ids(current(fixture, stream)), even(0, 1, count)), "it is scaled to " + count);
        List<Part> parts = current(fixture, stream);
        expectPartition(parts);
        Expect.equal(parts.size(), count, "the number of segments");
        return parts;
    }

    /** Trap 33: from 0 to 1 without a gap, and equal borders are equal to the last bit. */
    static void expectPartition(List<Part> parts) {
        double border = 0;
        for (Part part : parts) {
            Expect.equal(part.low, border, "the lower border of " + part);
            Expect.that(part.high > part.low, part + " has keys");
            border = part.high;
        }
        Expect.equal(border, 1.0, "the highest border");
    }

    /** What to seal and what to put in its place. */
    static final class Plan {
        final int epoch;
        final List<Long> seal;
        final Map<Double, Double> into;

        private Plan(int epoch, List<Long> seal, Map<Double, Double> into) {
            this.epoch = epoch;
            this.seal = seal;
            this.into = into;
        }
    }

    /** A split or a merge of some segment, so that between so many are left. */
    static Plan random(Controller controller, Stream stream, Random random, int least, int most) {
        List<Part> parts = current(controller, stream);
        if (parts.size() <= least || parts.size() < most && random.nextBoolean()) {
            Part part = parts.get(random.nextInt(parts.size()));
            // Not in the middle, so that borders are such as doubles do not show exactly.
            double border = part.low + (part.high - part.low) * (0.3 + 0.4 * random.nextDouble());
            return new Plan(epoch(parts), List.of(part.id), Map.of(part.low, border, border, part.high));
        }
        int first = random.nextInt(parts.size() - 1);
        List<Part> pair = parts.subList(first, first + 2);
        return new Plan(epoch(parts), ids(pair), Map.of(pair.get(0).low, pair.get(1).high));
    }
}
