package millrace.golden;

import com.google.gson.JsonElement;
import io.pravega.client.stream.impl.GroupVectors;
import io.pravega.client.stream.impl.PositionVectors;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Writes one file of vectors for each part of the protocol into the directory that is the only argument. */
public final class Golden {
    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[0]);
        Files.createDirectories(directory);
        write(directory.resolve("commands.json"), CommandVectors.make());
        write(directory.resolve("append-streams.json"), AppendStreamVectors.make());
        write(directory.resolve("names.json"), NameVectors.make());
        write(directory.resolve("positions.json"), PositionVectors.make());
        write(directory.resolve("groups.json"), GroupVectors.make());
        // Netty has left threads behind.
        System.exit(0);
    }

    private static void write(Path file, JsonElement vectors) throws Exception {
        Files.write(file, Json.ascii(Json.lines(vectors)).getBytes(StandardCharsets.US_ASCII));
    }
}
