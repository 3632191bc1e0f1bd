package millrace.golden;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import io.pravega.shared.metrics.MetricNotifier;
import io.pravega.shared.protocol.netty.Append;
import io.pravega.shared.protocol.netty.AppendBatchSizeTracker;
import io.pravega.shared.protocol.netty.CommandEncoder;
import io.pravega.shared.protocol.netty.WireCommands.Event;
import io.pravega.shared.protocol.netty.WireCommands.KeepAlive;
import io.pravega.shared.protocol.netty.WireCommands.SetupAppend;
import java.util.Random;
import java.util.UUID;

/** What the encoder of Java writers makes of events: blocks that are filled, padded, or end within an event; several writers. */
final class AppendStreamVectors {
    private static final int STREAMS = 8;

    static JsonElement make() {
        JsonArray vectors = new JsonArray();
        for (int seed = 0; seed < STREAMS; seed++) {
            vectors.add(makeStream(seed));
        }
        return vectors;
    }

    private static JsonObject makeStream(int seed) {
        Random random = new Random(seed);
        int blockSize = seed == 0 ? 0 : 40 + random.nextInt(200);
        EmbeddedChannel channel = new EmbeddedChannel(new CommandEncoder(flow -> fixed(blockSize), MetricNotifier.NO_OP_METRIC_NOTIFIER));
        int writers = 1 + seed % 3;
        long[] lastNumbers = new long[writers];
        ByteBuf stream = Unpooled.buffer();
        JsonArray appends = new JsonArray();
        for (int writer = 0; writer < writers; writer++) {
            channel.writeOutbound(new SetupAppend(100 + writer, idOf(writer), segmentOf(writer), ""));
        }
        for (int left = 40; left > 0; left--) {
            int writer = random.nextInt(writers);
            byte[] data = new byte[random.nextInt(60)];
            random.nextBytes(data);
            lastNumbers[writer] += 1 + random.nextInt(3);
            Event event = new Event(Unpooled.wrappedBuffer(data));
            JsonObject note = new JsonObject();
            note.addProperty("writerId", idOf(writer).toString());
            note.add("eventNumber", Json.of(lastNumbers[writer]));
            note.addProperty("event", Json.hex(event.getAsByteBuf()));
            appends.add(note);
            channel.writeOutbound(new Append(segmentOf(writer), idOf(writer), lastNumbers[writer], event, 100 + writer));
            if (random.nextInt(6) == 0) {
                channel.writeOutbound(new KeepAlive());
            }
        }
        channel.writeOutbound(new KeepAlive());
        for (ByteBuf part = channel.readOutbound(); part != null; part = channel.readOutbound()) {
            stream.writeBytes(part);
        }
        JsonObject vector = new JsonObject();
        vector.add("appends", appends);
        vector.addProperty("stream", Json.hex(stream));
        return vector;
    }

    private static UUID idOf(int writer) {
        return new UUID(0x1234_5678_9abc_def0L, writer);
    }

    private static String segmentOf(int writer) {
        return "scope/stream/" + writer + ".#epoch.0";
    }

    private static AppendBatchSizeTracker fixed(int blockSize) {
        return new AppendBatchSizeTracker() {
            @Override
            public void recordAppend(long eventNumber, int size) {
            }

            @Override
            public long recordAck(long eventNumber) {
                return 0;
            }

            @Override
            public int getAppendBlockSize() {
                return blockSize;
            }

            @Override
            public int getBatchTimeout() {
                return 20;
            }
        };
    }
}
