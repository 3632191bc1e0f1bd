package io.pravega.client.stream.impl;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import io.pravega.client.segment.impl.Segment;
import io.pravega.client.state.InitialUpdate;
import io.pravega.client.state.Revision;
import io.pravega.client.state.Update;
import io.pravega.client.state.impl.StatePayloads;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.ReaderGroupConfig.StreamDataRetention;
import io.pravega.client.stream.Serializer;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.StreamCut;
import io.pravega.client.stream.impl.ReaderGroupState.CompactReaderGroupState;
import io.pravega.client.stream.impl.ReaderGroupState.ReaderGroupStateInit;
import io.pravega.common.io.serialization.VersionedSerializer;
import io.pravega.common.util.ByteArraySegment;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.function.Function;
import millrace.golden.Json;

/** The lives of reader groups: what travels, and what Java makes of it. */
public final class GroupVectors {
    private static final int GROUPS = 16;
    private static final int STEPS = 80;
    /** The state is noted after each that many steps, and after the last. */
    private static final int NOTED_EVERY = 10;
    private static final Segment SYNCHRONIZER = new Segment("scope", "_RGgroup", 0);

    public static JsonElement make() {
        JsonObject vectors = new JsonObject();
        vectors.add("configs", configs());
        vectors.add("payloads", payloads());
        JsonArray groups = new JsonArray();
        for (int seed = 0; seed < GROUPS; seed++) {
            groups.add(liveOf(seed));
        }
        vectors.add("groups", groups);
        return vectors;
    }

    private static JsonObject liveOf(int seed) {
        Random random = new Random(seed);
        GroupPlay play = new GroupPlay(random, 1 + seed % 3, 1 + seed % 5, config(random, seed + 1));
        ReaderGroupStateInit init = new ReaderGroupStateInit(config(random, seed), play.startingSegments(), play.endSegments(), seed % 2 == 0);
        ReaderGroupState state = init.create(SYNCHRONIZER.getScopedStreamName(), revision(0));
        JsonObject live = new JsonObject();
        live.addProperty("init", Json.hex(serializeInit(init)));
        live.add("state", GroupNotes.of(state));
        JsonArray steps = new JsonArray();
        for (int step = 1; step <= STEPS; step++) {
            Update<ReaderGroupState> update = play.next(state);
            JsonObject note = new JsonObject();
            note.addProperty("update", Json.hex(serializeUpdate(update)));
            try {
                // What survives its bytes is what other readers apply.
                state = deserializeUpdate(serializeUpdate(update)).applyTo(state, revision(step));
            } catch (RuntimeException e) {
                note.addProperty("illegal", e.getClass().getSimpleName());
            }
            if (step % NOTED_EVERY == 0 || step == STEPS) {
                note.add("state", GroupNotes.of(state));
            }
            steps.add(note);
        }
        live.add("steps", steps);
        CompactReaderGroupState compact = new CompactReaderGroupState(state);
        live.addProperty("compact", Json.hex(serializeInit(compact)));
        ReaderGroupState again = deserializeInit(serializeInit(compact)).create(SYNCHRONIZER.getScopedStreamName(), revision(0));
        live.add("compactState", GroupNotes.of(again));
        return live;
    }

    private static Revision revision(int step) {
        return Revision.fromString(SYNCHRONIZER.getScopedName() + ":" + step + ":0");
    }

    private static JsonArray configs() {
        JsonArray vectors = new JsonArray();
        for (int seed = 0; seed < 8; seed++) {
            ReaderGroupConfig config = config(new Random(seed), seed);
            JsonObject vector = new JsonObject();
            vector.add("automaticCheckpointIntervalMs", Json.of(config.getAutomaticCheckpointIntervalMillis()));
            vector.add("groupRefreshTimeMs", Json.of(config.getGroupRefreshTimeMillis()));
            vector.addProperty("maxOutstandingCheckpointRequests", config.getMaxOutstandingCheckpointRequest());
            vector.addProperty("retention", config.getRetentionType().ordinal());
            vector.add("generation", Json.of(config.getGeneration()));
            vector.addProperty("groupId", config.getReaderGroupId().toString());
            vector.add("startingStreamCuts", cuts(config.getStartingStreamCuts()));
            vector.add("endingStreamCuts", cuts(config.getEndingStreamCuts()));
            vector.addProperty("bytes", Json.hex(config.toBytes()));
            vectors.add(vector);
        }
        return vectors;
    }

    private static JsonElement cuts(Map<Stream, StreamCut> cuts) {
        return Json.object(cuts, Stream::getScopedName,
                cut -> cut.asImpl() == null ? JsonNull.INSTANCE : PositionVectors.offsets(cut.asImpl().getPositions()));
    }

    private static ReaderGroupConfig config(Random random, int seed) {
        ReaderGroupConfig.ReaderGroupConfigBuilder builder = ReaderGroupConfig.builder()
                .groupRefreshTimeMillis(seed == 3 ? Long.MAX_VALUE : 3000)
                .automaticCheckpointIntervalMillis(seed == 1 ? -1 : 30_000)
                .maxOutstandingCheckpointRequest(1 + seed % 4)
                .retentionType(StreamDataRetention.values()[seed % 3]);
        for (int stream = 0; stream <= seed % 3; stream++) {
            StreamCut from = (seed + stream) % 2 == 0 ? StreamCut.UNBOUNDED : PositionVectors.cut(random, "scope", "stream" + stream, 2);
            builder.stream(Stream.of("scope", "stream" + stream), from, StreamCut.UNBOUNDED);
        }
        if (seed % 4 == 3) {
            builder.endingStreamCuts(new HashMap<>());
        }
        return ReaderGroupConfig.cloneConfig(builder.build(), new UUID(random.nextLong(), random.nextLong()), seed - 1);
    }

    /** What is written to the segment: initialisations, and updates in groups. */
    private static JsonArray payloads() {
        StatePayloads<ReaderGroupState> payloads = new StatePayloads<>(serializer(GroupVectors::serializeUpdate), serializer(GroupVectors::serializeInit));
        JsonArray vectors = new JsonArray();
        Random random = new Random(5);
        GroupPlay play = new GroupPlay(random, 2, 2, config(random, 4));
        ReaderGroupStateInit init = new ReaderGroupStateInit(config(random, 2), play.startingSegments(), play.endSegments(), false);
        JsonObject first = new JsonObject();
        first.addProperty("init", Json.hex(serializeInit(init)));
        first.addProperty("payload", Json.hex(payloads.of(init)));
        vectors.add(first);
        ReaderGroupState state = init.create(SYNCHRONIZER.getScopedStreamName(), revision(0));
        for (int count = 0; count < 4; count++) {
            Map<String, Update<ReaderGroupState>> updates = new LinkedHashMap<>();
            for (int at = 0; at < count; at++) {
                Update<ReaderGroupState> update = play.next(state);
                updates.put(Json.hex(serializeUpdate(update)), update);
            }
            JsonObject vector = new JsonObject();
            vector.add("updates", Json.strings(updates.keySet()));
            vector.addProperty("payload", Json.hex(payloads.of(List.copyOf(updates.values()))));
            vectors.add(vector);
        }
        return vectors;
    }

    private static <T> Serializer<T> serializer(Function<T, ByteBuffer> write) {
        return new Serializer<>() {
            @Override
            public ByteBuffer serialize(T value) {
                return write.apply(value);
            }

            @Override
            public T deserialize(ByteBuffer bytes) {
                throw new UnsupportedOperationException();
            }
        };
    }

    private static final ReaderGroupState.ReaderGroupInitSerializer INITS = new ReaderGroupState.ReaderGroupInitSerializer();
    private static final ReaderGroupState.ReaderGroupUpdateSerializer UPDATES = new ReaderGroupState.ReaderGroupUpdateSerializer();

    private static ByteBuffer serializeInit(InitialUpdate<ReaderGroupState> init) {
        return serialize(INITS, init);
    }

    private static ByteBuffer serializeUpdate(Update<ReaderGroupState> update) {
        return serialize(UPDATES, update);
    }

    private static InitialUpdate<ReaderGroupState> deserializeInit(ByteBuffer bytes) {
        try {
            return INITS.deserialize(new ByteArraySegment(bytes));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Update<ReaderGroupState> deserializeUpdate(ByteBuffer bytes) {
        try {
            return UPDATES.deserialize(new ByteArraySegment(bytes));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static <T> ByteBuffer serialize(VersionedSerializer<T> serializer, T value) {
        try {
            return ByteBuffer.wrap(serializer.serialize(value).getCopy());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
