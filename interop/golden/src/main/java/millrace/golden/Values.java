package millrace.golden;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.pravega.shared.protocol.netty.WireCommands.ChunkInfo;
import io.pravega.shared.protocol.netty.WireCommands.ConditionalAttributeUpdate;
import io.pravega.shared.protocol.netty.WireCommands.Event;
import io.pravega.shared.protocol.netty.WireCommands.TableEntries;
import io.pravega.shared.protocol.netty.WireCommands.TableIteratorArgs;
import io.pravega.shared.protocol.netty.WireCommands.TableKey;
import io.pravega.shared.protocol.netty.WireCommands.TableValue;
import java.util.AbstractMap.SimpleImmutableEntry;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;

/** Draws the fields of a command, extremes first, and notes each under the name that it has in the product's table. */
final class Values {
    private static final long SAFE_MAX = (1L << 53) - 1;
    private static final long[] LONGS = {0, -1, Long.MAX_VALUE, Long.MIN_VALUE, SAFE_MAX, SAFE_MAX + 1, -SAFE_MAX - 1};
    private static final long[] OFFSETS = {0, -1, SAFE_MAX, -SAFE_MAX, 1L << 32, 0xFFFF_FFFFL, 7};
    private static final int[] INTS = {0, -1, Integer.MAX_VALUE, Integer.MIN_VALUE, 1024 * 1024};
    private static final String[] STRINGS = {
        "", "scope/stream/7.#epoch.3", "nul\0inside", "é€\uD834\uDD1E", "lone \uD834", "x".repeat(300), "\u07FF\u0800\uFFFF\u007F\u0080"
    };
    private final Random random;
    private int drawn;
    final JsonObject noted = new JsonObject();

    Values(long seed, int round) {
        random = new Random(seed);
        drawn = round;
    }

    long id64(String name) {
        return note(name, drawLong());
    }

    long aLong(String name) {
        return note(name, drawLong());
    }

    long offset(String name) {
        return note(name, drawOffset());
    }

    int int32(String name) {
        int value = INTS[next(INTS.length)];
        noted.addProperty(name, value);
        return value;
    }

    byte int8(String name) {
        byte value = (byte) random.nextInt(256);
        noted.addProperty(name, value);
        return value;
    }

    boolean bool(String name) {
        boolean value = random.nextBoolean();
        noted.addProperty(name, value);
        return value;
    }

    UUID uuid(String name) {
        UUID value = drawUuid();
        noted.addProperty(name, value.toString());
        return value;
    }

    String string(String name) {
        String value = drawString();
        noted.addProperty(name, value);
        return value;
    }

    ByteBuf bytes(String name) {
        ByteBuf value = drawBytes();
        noted.addProperty(name, Json.hex(value));
        return value;
    }

    Event event(String name) {
        Event value = new Event(drawBytes());
        noted.addProperty(name, Json.hex(value.getAsByteBuf()));
        return value;
    }

    List<TableKey> keys(String name) {
        List<TableKey> keys = new ArrayList<>();
        JsonArray notes = new JsonArray();
        for (int left = random.nextInt(4); left > 0; left--) {
            JsonObject note = new JsonObject();
            keys.add(drawKey(note));
            notes.add(note);
        }
        noted.add(name, notes);
        return keys;
    }

    TableEntries entries(String name) {
        List<Map.Entry<TableKey, TableValue>> entries = new ArrayList<>();
        JsonArray notes = new JsonArray();
        for (int left = random.nextInt(4); left > 0; left--) {
            JsonObject note = new JsonObject();
            TableKey key = drawKey(note);
            TableValue value = new TableValue(drawBytes());
            note.addProperty("value", Json.hex(value.getData()));
            entries.add(new SimpleImmutableEntry<>(key, value));
            notes.add(note);
        }
        noted.add(name, notes);
        return new TableEntries(entries);
    }

    TableIteratorArgs iteratorArgs(String name) {
        JsonObject note = new JsonObject();
        ByteBuf token = drawBytes();
        ByteBuf from = drawBytes();
        ByteBuf to = drawBytes();
        note.addProperty("continuationToken", Json.hex(token));
        note.addProperty("fromKey", Json.hex(from));
        note.addProperty("toKey", Json.hex(to));
        noted.add(name, note);
        return new TableIteratorArgs(token, Unpooled.EMPTY_BUFFER, from, to);
    }

    List<ConditionalAttributeUpdate> attributeUpdates(String name) {
        List<ConditionalAttributeUpdate> updates = new ArrayList<>();
        JsonArray notes = new JsonArray();
        for (int left = random.nextInt(4); left > 0; left--) {
            ConditionalAttributeUpdate update =
                    new ConditionalAttributeUpdate(drawUuid(), (byte) random.nextInt(5), drawLong(), drawLong());
            JsonObject note = new JsonObject();
            note.addProperty("attributeId", update.getAttributeId().toString());
            note.addProperty("updateType", update.getAttributeUpdateType());
            note.add("newValue", Json.of(update.getNewValue()));
            note.add("oldValue", Json.of(update.getOldValue()));
            updates.add(update);
            notes.add(note);
        }
        noted.add(name, notes);
        return updates;
    }

    List<String> strings(String name) {
        List<String> strings = new ArrayList<>();
        for (int left = random.nextInt(4); left > 0; left--) {
            strings.add(drawString());
        }
        noted.add(name, Json.strings(strings));
        return strings;
    }

    List<Long> longs(String name) {
        List<Long> longs = new ArrayList<>();
        for (int left = random.nextInt(4); left > 0; left--) {
            longs.add(drawLong());
        }
        noted.add(name, Json.array(longs, Json::of));
        return longs;
    }

    List<Map.Entry<String, Long>> merges(String name) {
        List<Map.Entry<String, Long>> merges = new ArrayList<>();
        for (int left = random.nextInt(4); left > 0; left--) {
            merges.add(new SimpleImmutableEntry<>(drawString(), drawOffset()));
        }
        noted.add(name, Json.array(merges, merge -> {
            JsonObject note = new JsonObject();
            note.addProperty("source", merge.getKey());
            note.add("newTargetWriteOffset", Json.of(merge.getValue()));
            return note;
        }));
        return merges;
    }

    List<ChunkInfo> chunks(String name) {
        List<ChunkInfo> chunks = new ArrayList<>();
        for (int left = random.nextInt(4); left > 0; left--) {
            chunks.add(new ChunkInfo(drawOffset(), drawOffset(), drawOffset(), drawString(), random.nextBoolean()));
        }
        noted.add(name, Json.array(chunks, chunk -> {
            JsonObject note = new JsonObject();
            note.add("lengthInMetadata", Json.of(chunk.getLengthInMetadata()));
            note.add("lengthInStorage", Json.of(chunk.getLengthInStorage()));
            note.add("startOffset", Json.of(chunk.getStartOffset()));
            note.addProperty("chunkName", chunk.getChunkName());
            note.addProperty("existsInStorage", chunk.isExistsInStorage());
            return note;
        }));
        return chunks;
    }

    /** One of a Java enum's values, of which the number travels. */
    <T> T choice(String name, T value, int number) {
        noted.addProperty(name, number);
        return value;
    }

    private TableKey drawKey(JsonObject note) {
        ByteBuf data = drawBytes();
        // The version of an empty key does not travel.
        TableKey key = data.readableBytes() == 0 ? TableKey.EMPTY : new TableKey(data, drawLong());
        note.addProperty("key", Json.hex(key.getData()));
        note.add("version", Json.of(key.getKeyVersion()));
        return key;
    }

    private long note(String name, long value) {
        noted.add(name, new JsonPrimitive(Long.toString(value)));
        return value;
    }

    private int next(int count) {
        return drawn++ % count;
    }

    private long drawLong() {
        return random.nextInt(3) == 0 ? random.nextLong() : LONGS[next(LONGS.length)];
    }

    private long drawOffset() {
        return random.nextInt(3) == 0 ? random.nextLong() >> 12 : OFFSETS[next(OFFSETS.length)];
    }

    private UUID drawUuid() {
        return random.nextInt(4) == 0 ? new UUID(Long.MIN_VALUE, next(20)) : new UUID(random.nextLong(), random.nextLong());
    }

    private String drawString() {
        return STRINGS[next(STRINGS.length)];
    }

    private ByteBuf drawBytes() {
        byte[] bytes = new byte[random.nextInt(3) == 0 ? 0 : random.nextInt(40)];
        random.nextBytes(bytes);
        return Unpooled.wrappedBuffer(bytes);
    }
}
