package io.pravega.client.stream.impl;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import io.pravega.client.segment.impl.Segment;
import io.pravega.client.state.Revision;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.StreamCut;
import io.pravega.shared.NameUtils;
import io.pravega.shared.watermarks.Watermark;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import millrace.golden.Json;

/** What clients hand to users to come back to: stream cuts, positions, checkpoints, pointers, revisions; and watermarks. */
public final class PositionVectors {
    private static final long[] OFFSETS = {0, -1, 0x1F, 0x20, 0x3F, 0x40, 0x1FFF, 0x2000, 0x3FFF, 0x4000, 0x1FFF_FFFF, 0x2000_0000,
        0x3FFF_FFFF, 0x4000_0000, (1L << 53) - 1};
    private static final int[] LENGTHS = {0, 0x7F, 0x80, 0x3FFF, 0x4000, 0x3FFF_FFFE};

    public static JsonElement make() {
        JsonObject vectors = new JsonObject();
        vectors.add("streamCuts", streamCuts());
        vectors.add("positions", positions());
        vectors.add("checkpoints", checkpoints());
        vectors.add("eventPointers", eventPointers());
        vectors.add("watermarks", watermarks());
        return vectors;
    }

    static JsonElement offsets(Map<Segment, Long> offsets) {
        return Json.object(offsets, Segment::getScopedName, Json::of);
    }

    static StreamCutImpl cut(Random random, String scope, String stream, int segments) {
        Map<Segment, Long> positions = new LinkedHashMap<>();
        for (int number = 0; number < segments; number++) {
            Segment segment = new Segment(scope, stream, NameUtils.computeSegmentId(number, random.nextInt(3) * (1 << (number % 29))));
            positions.put(segment, OFFSETS[random.nextInt(OFFSETS.length)]);
        }
        return new StreamCutImpl(Stream.of(scope, stream), positions);
    }

    private static JsonArray streamCuts() {
        Random random = new Random(1);
        JsonArray vectors = new JsonArray();
        for (int segments = 1; segments < 40; segments += segments < 6 ? 1 : 11) {
            StreamCutImpl cut = cut(random, "scope", "stream" + segments, segments);
            JsonObject vector = new JsonObject();
            vector.addProperty("stream", cut.getStream().getScopedName());
            vector.add("positions", offsets(cut.getPositions()));
            vector.addProperty("text", cut.asText());
            vector.addProperty("bytes", Json.hex(cut.toBytes()));
            vectors.add(vector);
        }
        return vectors;
    }

    private static JsonArray positions() {
        Random random = new Random(2);
        JsonArray vectors = new JsonArray();
        for (int segments = 0; segments < 6; segments++) {
            Map<SegmentWithRange, Long> owned = new HashMap<>();
            for (int number = 0; number < segments; number++) {
                Segment segment = new Segment("scope", "stream", NameUtils.computeSegmentId(number, number));
                SegmentWithRange.Range range = number == 2 ? null : new SegmentWithRange.Range(number / 6.0, (number + 1) / 6.0);
                owned.put(new SegmentWithRange(segment, range), OFFSETS[random.nextInt(OFFSETS.length)]);
            }
            PositionImpl position = new PositionImpl(owned);
            JsonObject vector = new JsonObject();
            vector.add("offsets", offsets(position.getOwnedSegmentsWithOffsets()));
            vector.add("ranges", Json.object(owned, s -> s.getSegment().getScopedName(), offset -> JsonNull.INSTANCE));
            owned.keySet().forEach(s -> vector.getAsJsonObject("ranges").add(s.getSegment().getScopedName(), range(s.getRange())));
            vector.addProperty("bytes", Json.hex(position.toBytes()));
            vectors.add(vector);
        }
        return vectors;
    }

    static JsonElement range(SegmentWithRange.Range range) {
        if (range == null) {
            return JsonNull.INSTANCE;
        }
        JsonArray pair = new JsonArray();
        pair.add(range.getLow());
        pair.add(range.getHigh());
        return pair;
    }

    private static JsonArray checkpoints() {
        Random random = new Random(3);
        JsonArray vectors = new JsonArray();
        for (int streams = 0; streams < 4; streams++) {
            Map<Segment, Long> positions = new LinkedHashMap<>();
            for (int stream = 0; stream < streams; stream++) {
                positions.putAll(cut(random, "scope", "stream" + stream, 1 + random.nextInt(4)).getPositions());
            }
            CheckpointImpl checkpoint = new CheckpointImpl("checkpoint é " + streams, positions);
            JsonObject vector = new JsonObject();
            vector.addProperty("name", checkpoint.getName());
            vector.add("cuts", Json.object(checkpoint.getPositions(), Stream::getScopedName,
                    (StreamCut cut) -> offsets(cut.asImpl().getPositions())));
            vector.addProperty("bytes", Json.hex(checkpoint.toBytes()));
            vectors.add(vector);
        }
        return vectors;
    }

    private static JsonArray eventPointers() {
        JsonArray vectors = new JsonArray();
        for (long offset : OFFSETS) {
            if (offset < 0) {
                continue;
            }
            for (int length : LENGTHS) {
                Segment segment = new Segment("scope", "stream", NameUtils.computeSegmentId(length % 7, (int) (offset % 5)));
                EventPointerImpl pointer = new EventPointerImpl(segment, offset, length);
                JsonObject vector = new JsonObject();
                vector.addProperty("segment", segment.getScopedName());
                vector.add("offset", Json.of(offset));
                vector.addProperty("length", length);
                vector.addProperty("text", pointer.toString());
                vector.addProperty("bytes", Json.hex(pointer.toBytes()));
                vector.addProperty("revision", Revision.fromString(segment.getScopedName() + ":" + offset + ":" + length).toString());
                vectors.add(vector);
            }
        }
        return vectors;
    }

    private static JsonArray watermarks() {
        JsonArray vectors = new JsonArray();
        for (int segments = 1; segments < 4; segments++) {
            Map<io.pravega.shared.watermarks.SegmentWithRange, Long> cut = new LinkedHashMap<>();
            JsonArray noted = new JsonArray();
            for (int number = 0; number < segments; number++) {
                long id = NameUtils.computeSegmentId(number, segments);
                double low = number / (double) segments;
                double high = (number + 1) / (double) segments;
                cut.put(new io.pravega.shared.watermarks.SegmentWithRange(id, low, high), 1000L * number);
                JsonObject note = new JsonObject();
                note.add("segmentId", Json.of(id));
                note.addProperty("low", low);
                note.addProperty("high", high);
                note.add("offset", Json.of(1000L * number));
                noted.add(note);
            }
            Watermark watermark = new Watermark(segments == 1 ? Long.MIN_VALUE : segments, 1L << (60 - segments), cut);
            JsonObject vector = new JsonObject();
            vector.add("lower", Json.of(watermark.getLowerTimeBound()));
            vector.add("upper", Json.of(watermark.getUpperTimeBound()));
            vector.add("cut", noted);
            vector.addProperty("bytes", Json.hex(watermark.toByteBuf()));
            vectors.add(vector);
        }
        return vectors;
    }
}
