package millrace.golden;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/** Longs are decimal strings, since JSON's numbers end at 2^53; bytes are hexadecimal. */
public final class Json {
    private static final Gson GSON = new GsonBuilder().disableHtmlEscaping().serializeNulls().create();

    public static JsonPrimitive of(long value) {
        return new JsonPrimitive(Long.toString(value));
    }

    public static String hex(ByteBuf bytes) {
        return ByteBufUtil.hexDump(bytes);
    }

    public static String hex(ByteBuffer bytes) {
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        return ByteBufUtil.hexDump(copy);
    }

    public static <T> JsonArray array(Iterable<T> values, Function<T, JsonElement> element) {
        JsonArray array = new JsonArray();
        for (T value : values) {
            array.add(element.apply(value));
        }
        return array;
    }

    public static JsonArray strings(Iterable<?> values) {
        return array(values, value -> new JsonPrimitive(value.toString()));
    }

    /** In the order of the map. */
    public static <K, V> JsonObject object(Map<K, V> map, Function<K, String> key, Function<V, JsonElement> value) {
        JsonObject object = new JsonObject();
        map.forEach((k, v) -> object.add(key.apply(k), value.apply(v)));
        return object;
    }

    /** Lone surrogates, too, survive in ASCII. */
    static String ascii(String json) {
        StringBuilder text = new StringBuilder();
        for (char unit : json.toCharArray()) {
            text.append(unit < 0x7F ? String.valueOf(unit) : String.format("\\u%04x", (int) unit));
        }
        return text.toString();
    }

    /** With each element of the outermost arrays on a line of its own, so that changes can be read. */
    static String lines(JsonElement value) {
        if (value.isJsonObject() && value.getAsJsonObject().entrySet().stream().anyMatch(e -> e.getValue().isJsonArray())) {
            return value.getAsJsonObject().entrySet().stream()
                    .map(e -> GSON.toJson(e.getKey()) + ": " + lines(e.getValue()).trim())
                    .collect(Collectors.joining(",\n", "{\n", "\n}\n"));
        }
        if (value.isJsonArray()) {
            StringBuilder text = new StringBuilder("[");
            String separator = "\n";
            for (JsonElement element : value.getAsJsonArray()) {
                text.append(separator).append(GSON.toJson(element));
                separator = ",\n";
            }
            return text.append("\n]\n").toString();
        }
        return GSON.toJson(value) + "\n";
    }
}
