package io.pravega.client.stream.impl;

import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.pravega.client.segment.impl.Segment;
import io.pravega.client.stream.Stream;
import java.lang.reflect.Field;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import millrace.golden.Json;

/** Everything that can be seen of a group's state, in an order that does not depend on hashes. */
final class GroupNotes {
    static JsonObject of(ReaderGroupState state) {
        JsonObject note = new JsonObject();
        TreeMap<String, Map<SegmentWithRange, Long>> assigned = new TreeMap<>();
        TreeMap<String, Integer> rankings = new TreeMap<>();
        for (String reader : state.getOnlineReaders()) {
            assigned.put(reader, state.getAssignedSegments(reader));
            rankings.put(reader, state.getRanking(reader));
        }
        Map<String, Long> distances = read(state, "distanceToTail");
        note.add("assigned", Json.object(assigned, reader -> reader, GroupNotes::ranged));
        note.add("unassigned", ranged(state.getUnassignedSegments()));
        note.add("future", future(state));
        note.add("lastRead", ranged(read(state, "lastReadPosition")));
        note.add("endSegments", offsets(state.getEndSegments()));
        note.add("distanceToTail", Json.object(new TreeMap<>(distances), r -> r, Json::of));
        note.add("relativeSizes", Json.object(new TreeMap<>(state.getRelativeSizes()), r -> r, JsonPrimitive::new));
        note.add("rankings", Json.object(rankings, r -> r, JsonPrimitive::new));
        note.addProperty("segments", state.getNumberOfSegments());
        note.add("streams", Json.strings(new TreeSet<>(state.getStreamNames())));
        note.add("positions", positions(state));
        note.addProperty("endOfData", state.isEndOfData());
        note.addProperty("updatingConfig", state.isUpdatingConfig());
        note.add("checkpoints", checkpoints(state));
        return note;
    }

    private static JsonObject positions(ReaderGroupState state) {
        TreeMap<String, Map<SegmentWithRange, Long>> positions = new TreeMap<>();
        state.getPositions().forEach((stream, segments) -> positions.put(stream.getScopedName(), segments));
        return Json.object(positions, stream -> stream, GroupNotes::ranged);
    }

    private static JsonObject checkpoints(ReaderGroupState state) {
        CheckpointState checkpoints = state.getCheckpointState();
        JsonObject note = new JsonObject();
        List<String> ids = read(checkpoints, "checkpoints");
        Map<String, List<String>> waiting = read(checkpoints, "uncheckpointedHosts");
        Map<String, List<String>> ofReaders = read(checkpoints, "checkpointIndex");
        note.add("ids", Json.strings(ids));
        note.add("waitingFor", Json.object(new TreeMap<>(waiting), id -> id, readers -> Json.strings(new TreeSet<>(readers))));
        TreeMap<String, Set<String>> pending = new TreeMap<>();
        ofReaders.forEach((reader, list) -> {
            if (!list.isEmpty()) {
                pending.put(reader, new TreeSet<>(list));
            }
        });
        note.add("pending", Json.object(pending, reader -> reader, Json::strings));
        TreeMap<String, JsonElement> positions = new TreeMap<>();
        Map<String, Map<Segment, Long>> known = read(checkpoints, "checkpointPositions");
        for (String id : known.keySet()) {
            Map<Segment, Long> completed = state.getPositionsForCompletedCheckpoint(id);
            positions.put(id, completed == null ? JsonNull.INSTANCE : offsets(completed));
        }
        note.add("completed", Json.object(positions, id -> id, p -> p));
        TreeMap<String, JsonElement> last = new TreeMap<>();
        state.getPositionsForLastCompletedCheckpoint()
                .ifPresent(streams -> streams.forEach((Stream s, Map<Segment, Long> p) -> last.put(s.getScopedName(), offsets(p))));
        note.add("last", Json.object(last, stream -> stream, p -> p));
        note.addProperty("ongoing", state.hasOngoingCheckpoint());
        note.addProperty("lastPublished", checkpoints.isLastCheckpointPublished());
        note.add("outstanding", Json.strings(checkpoints.getOutstandingCheckpoints()));
        note.add("blocking", Json.strings(new TreeSet<>(checkpoints.getReaderBlockingCheckpointsMap().keySet())));
        return note;
    }

    private static JsonObject future(ReaderGroupState state) {
        Map<SegmentWithRange, Set<Long>> future = read(state, "futureSegments");
        TreeMap<String, Set<Long>> sorted = new TreeMap<>();
        future.forEach((segment, predecessors) -> sorted.put(name(segment), new TreeSet<>(predecessors)));
        return Json.object(sorted, segment -> segment, Json::strings);
    }

    private static JsonElement ranged(Map<SegmentWithRange, Long> segments) {
        TreeMap<String, Long> sorted = new TreeMap<>();
        segments.forEach((segment, offset) -> sorted.put(name(segment), offset));
        return Json.object(sorted, segment -> segment, Json::of);
    }

    private static JsonElement offsets(Map<Segment, Long> segments) {
        TreeMap<String, Long> sorted = new TreeMap<>();
        segments.forEach((segment, offset) -> sorted.put(segment.getScopedName(), offset));
        return Json.object(sorted, segment -> segment, Json::of);
    }

    /** With its range, since that must survive, too. */
    private static String name(SegmentWithRange segment) {
        SegmentWithRange.Range range = segment.getRange();
        return segment.getSegment().getScopedName() + (range == null ? " ?" : " " + range.getLow() + " " + range.getHigh());
    }

    @SuppressWarnings("unchecked")
    private static <T> T read(Object object, String name) {
        try {
            Field field = object.getClass().getDeclaredField(name);
            field.setAccessible(true);
            return (T) field.get(object);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }
}
