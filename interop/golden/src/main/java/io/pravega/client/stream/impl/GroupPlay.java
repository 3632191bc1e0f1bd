package io.pravega.client.stream.impl;

import io.pravega.client.segment.impl.Segment;
import io.pravega.client.state.Update;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.impl.ReaderGroupState.*;
import io.pravega.shared.NameUtils;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;

/** Draws the next update of a group: mostly what readers would do in its state, now and then something illegal. */
final class GroupPlay {
    private static final int READERS = 5;
    private final Random random;
    private final int streams;
    private final int segmentsPerStream;
    private final ReaderGroupConfig nextConfig;
    private final Map<Segment, Map<SegmentWithRange, List<Long>>> merges = new HashMap<>();
    private int nextNumber;
    private int nextCheckpoint;

    GroupPlay(Random random, int streams, int segmentsPerStream, ReaderGroupConfig nextConfig) {
        this.nextConfig = nextConfig;
        this.random = random;
        this.streams = streams;
        this.segmentsPerStream = segmentsPerStream;
        this.nextNumber = segmentsPerStream;
    }

    Map<SegmentWithRange, Long> startingSegments() {
        Map<SegmentWithRange, Long> segments = new LinkedHashMap<>();
        for (int stream = 0; stream < streams; stream++) {
            for (int number = 0; number < segmentsPerStream; number++) {
                Segment segment = new Segment("scope", "stream" + stream, NameUtils.computeSegmentId(number, 0));
                double low = number / (double) segmentsPerStream;
                double high = (number + 1) / (double) segmentsPerStream;
                SegmentWithRange.Range range = random.nextInt(8) == 0 ? null : new SegmentWithRange.Range(low, high);
                segments.put(new SegmentWithRange(segment, range), (long) random.nextInt(1000));
            }
        }
        return segments;
    }

    Map<Segment, Long> endSegments() {
        return random.nextBoolean() ? new HashMap<>() : Map.of(new Segment("scope", "stream0", NameUtils.computeSegmentId(0, 0)), 5000L);
    }

    Update<ReaderGroupState> next(ReaderGroupState state) {
        List<String> online = state.getOnlineReaders().stream().sorted().collect(Collectors.toList());
        String reader = online.isEmpty() || random.nextInt(25) == 0 ? anyReader() : pick(online);
        List<SegmentWithRange> owned = sorted(state.getAssignedSegments(reader));
        List<SegmentWithRange> free = sorted(state.getUnassignedSegments());
        int choice = random.nextInt(17);
        if (online.size() == READERS && choice <= 1 && random.nextInt(8) > 0) {
            choice = 8;
        }
        if (owned.isEmpty() && (choice == 6 || choice == 8 || choice == 9) && random.nextInt(8) > 0) {
            choice = 3;
        }
        if (free.isEmpty() && choice >= 3 && choice <= 5 && random.nextInt(8) > 0) {
            choice = owned.isEmpty() ? 0 : 8;
        }
        switch (choice) {
            case 0:
            case 1:
                return new AddReader(anyReader());
            case 2:
                return rare(reader, owned, state);
            case 3:
            case 4:
            case 5:
                return new AcquireSegment(reader, free.isEmpty() ? anySegment() : pick(free).getSegment());
            case 6:
                return new ReleaseSegment(reader, owned.isEmpty() ? anySegment() : pick(owned).getSegment(), random.nextInt(1000));
            case 7:
                return new UpdateDistanceToTail(reader, distance(), ranged(owned));
            case 8:
            case 9:
                return complete(reader, owned);
            case 10:
                return new CreateCheckpoint((random.nextInt(4) == 0 ? ReaderGroupImpl.SILENT : "") + "checkpoint" + nextCheckpoint++);
            case 11:
            case 12:
            case 13:
                String checkpoint = state.getCheckpointForReader(reader);
                return new CheckpointReader(checkpoint == null ? anyCheckpoint() : checkpoint, reader, offsets(owned));
            case 14:
                return random.nextInt(3) == 0 ? new RemoveOutstandingCheckpoints() : new ClearCheckpointsBefore(anyCheckpoint());
            default:
                return random.nextBoolean() ? new UpdateCheckpointPublished(random.nextBoolean()) : new UpdatingConfig(random.nextBoolean());
        }
    }

    private Update<ReaderGroupState> rare(String reader, List<SegmentWithRange> owned, ReaderGroupState state) {
        switch (random.nextInt(12)) {
            case 0:
                return new CompactReaderGroupState(state);
            case 1:
                return new ReaderGroupStateInit(nextConfig, startingSegments(), endSegments(), false);
            case 2:
            case 3:
            case 4:
            case 5:
                return new RemoveReader(reader, offsets(owned));
            default:
                return new AddReader(anyReader());
        }
    }

    private Update<ReaderGroupState> complete(String reader, List<SegmentWithRange> owned) {
        SegmentWithRange completed = owned.isEmpty() ? new SegmentWithRange(anySegment(), 0, 1) : pick(owned);
        Segment segment = completed.getSegment();
        Map<SegmentWithRange, List<Long>> successors = new LinkedHashMap<>();
        SegmentWithRange.Range range = completed.getRange();
        if (merges.containsKey(segment)) {
            return new SegmentCompleted(reader, completed, merges.get(segment));
        }
        if (range == null || random.nextInt(6) == 0) {
            return new SegmentCompleted(reader, completed, successors);
        }
        if (random.nextBoolean()) {
            double middle = (range.getLow() + range.getHigh()) / 2;
            successors.put(successor(segment, range.getLow(), middle), Arrays.asList(segment.getSegmentId()));
            successors.put(successor(segment, middle, range.getHigh()), Arrays.asList(segment.getSegmentId()));
        } else {
            // A merge with a segment that has the number of one of any stream: Java mixes the streams up.
            long other = anySegment().getSegmentId();
            successors.put(successor(segment, range.getLow(), 1), Arrays.asList(segment.getSegmentId(), other));
            // Whoever completes the other one names the same successor.
            merges.put(new Segment(segment.getScope(), segment.getStreamName(), other), successors);
        }
        return new SegmentCompleted(reader, completed, successors);
    }

    private SegmentWithRange successor(Segment of, double low, double high) {
        long id = NameUtils.computeSegmentId(nextNumber++, NameUtils.getEpoch(of.getSegmentId()) + 1);
        return new SegmentWithRange(new Segment(of.getScope(), of.getStreamName(), id), low, high);
    }

    private long distance() {
        return random.nextInt(4) == 0 ? Long.MAX_VALUE : random.nextInt(200_000);
    }

    private Map<Segment, Long> offsets(List<SegmentWithRange> segments) {
        return segments.stream().filter(s -> random.nextInt(5) > 0)
                .collect(Collectors.toMap(SegmentWithRange::getSegment, s -> (long) random.nextInt(10_000)));
    }

    private Map<SegmentWithRange, Long> ranged(List<SegmentWithRange> segments) {
        return segments.stream().collect(Collectors.toMap(s -> s, s -> (long) random.nextInt(10_000)));
    }

    private String anyReader() {
        return "reader-" + random.nextInt(READERS);
    }

    private String anyCheckpoint() {
        return "checkpoint" + random.nextInt(nextCheckpoint + 1);
    }

    private Segment anySegment() {
        int number = random.nextInt(segmentsPerStream);
        return new Segment("scope", "stream" + random.nextInt(streams), NameUtils.computeSegmentId(number, 0));
    }

    private <T> T pick(List<T> list) {
        return list.get(random.nextInt(list.size()));
    }

    /** Hash order must not decide what is drawn. */
    private static List<SegmentWithRange> sorted(Map<SegmentWithRange, Long> segments) {
        if (segments == null) {
            return new ArrayList<>();
        }
        return segments.keySet().stream().sorted(Comparator.comparing(SegmentWithRange::getSegment)).collect(Collectors.toList());
    }
}
