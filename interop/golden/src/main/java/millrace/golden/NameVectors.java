package millrace.golden;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.netty.buffer.ByteBufUtil;
import io.pravega.client.segment.impl.SegmentAttribute;
import io.pravega.common.hash.HashHelper;
import io.pravega.shared.NameUtils;
import io.pravega.shared.segment.SegmentToContainerMapper;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.UUID;

/** Hashes of keys and names, containers of segments, and the names that are made of others. */
final class NameVectors {
    private static final int[] CONTAINER_COUNTS = {1, 2, 3, 4, 7, 8, 16, 48, 100, 1000};

    static JsonElement make() {
        JsonObject vectors = new JsonObject();
        vectors.add("routingKeys", routingKeys());
        vectors.add("tableKeys", tableKeys());
        vectors.add("segments", segments());
        vectors.add("names", names());
        return vectors;
    }

    private static JsonArray routingKeys() {
        HashHelper router = HashHelper.seededWith("EventRouter");
        Random random = new Random(1);
        List<String> keys = new ArrayList<>(List.of("", "0", "a", "é", "日本語", "\uD834\uDD1E", "\uD834", "\0", "\uFFFF"));
        for (int length = 1; length < 40; length++) {
            keys.add("key-" + random.nextInt());
            StringBuilder key = new StringBuilder();
            for (int at = 0; at < length; at++) {
                key.append((char) (random.nextInt(4) == 0 ? random.nextInt(0xD800) : 32 + random.nextInt(95)));
            }
            keys.add(key.toString());
        }
        return Json.array(keys, key -> {
            JsonObject vector = new JsonObject();
            vector.addProperty("key", key);
            vector.addProperty("hash", router.hashToRange(key));
            vector.addProperty("asReader", HashHelper.seededWith(key).hashToRange("scope/stream/0.#epoch.0"));
            return vector;
        });
    }

    private static JsonArray tableKeys() {
        HashHelper router = HashHelper.seededWith("KeyValueTableRouter");
        Random random = new Random(2);
        JsonArray vectors = new JsonArray();
        for (int length = 0; length < 50; length++) {
            byte[] key = new byte[length];
            random.nextBytes(key);
            JsonObject vector = new JsonObject();
            vector.addProperty("key", ByteBufUtil.hexDump(key));
            vector.addProperty("hash", router.hashToRange(ByteBuffer.wrap(key)));
            vectors.add(vector);
        }
        return vectors;
    }

    private static JsonArray segments() {
        Random random = new Random(3);
        List<String> segments = new ArrayList<>(List.of("", "scope/stream/0", "_schemaregistry/x.#.metadata/0", "_system/_tables/scopes"));
        for (int at = 0; at < 60; at++) {
            String segment = NameUtils.getQualifiedStreamSegmentName("scope" + random.nextInt(9), "stream-" + random.nextInt(99),
                    NameUtils.computeSegmentId(random.nextInt(30), random.nextInt(5)));
            segments.add(segment);
            String transaction = NameUtils.getTransactionNameFromId(segment, new UUID(random.nextLong(), random.nextLong()));
            if (at % 5 == 0) {
                segments.add(transaction);
                segments.add(NameUtils.getTransientNameFromId(segment, new UUID(at, at)).replaceAll("\\.[0-9a-f]{32}$", "." + "5".repeat(32)));
                segments.add(NameUtils.getQualifiedTableSegmentName("scope", "kvt" + at, at));
                segments.add(transaction.substring(0, transaction.length() - 1));
            }
        }
        return Json.array(segments, segment -> {
            JsonObject vector = new JsonObject();
            vector.addProperty("name", segment);
            vector.addProperty("primary", NameUtils.extractPrimaryStreamSegmentName(segment));
            vector.addProperty("parent", NameUtils.getParentStreamSegmentName(segment));
            JsonArray containers = new JsonArray();
            for (int count : CONTAINER_COUNTS) {
                containers.add(new SegmentToContainerMapper(count, false).getContainerId(segment));
            }
            vector.add("containers", containers);
            return vector;
        });
    }

    private static JsonObject names() {
        JsonObject vector = new JsonObject();
        long id = NameUtils.computeSegmentId(Integer.MAX_VALUE, 1 << 30);
        UUID transaction = new UUID(0x0000_0003_0000_0001L, -256);
        vector.add("segmentId", Json.of(id));
        vector.addProperty("segment", NameUtils.getQualifiedStreamSegmentName("scope", "stream", id));
        vector.addProperty("transaction", NameUtils.getTransactionNameFromId("scope/stream/0.#epoch.0", transaction));
        vector.addProperty("transactionEpoch", NameUtils.getEpoch(transaction));
        vector.addProperty("table", NameUtils.getQualifiedTableSegmentName("scope", "kvt", 2));
        vector.addProperty("group", NameUtils.getStreamForReaderGroup("group"));
        vector.addProperty("mark", NameUtils.getMarkStreamForStream("stream"));
        vector.addProperty("revisionedMark", SegmentAttribute.RevisionStreamClientMark.getValue().toString());
        return vector;
    }
}
