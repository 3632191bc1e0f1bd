package millrace.interop;

import io.pravega.client.ClientConfig;
import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.admin.ReaderGroupManager;
import io.pravega.client.stream.Checkpoint;
import io.pravega.client.stream.EventRead;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.ReaderConfig;
import io.pravega.client.stream.ReaderGroup;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.ReinitializationRequiredException;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.StreamCut;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * {@code GroupPeer URI SCOPE GROUP STREAM}: readers in Java for a group that has others, too. Takes a command from each line of its
 * input and answers with {@code ok}, and what was asked for, or {@code failed} with a reason.
 *
 * <pre>
 * create MS             makes the group, from the head of the stream, with a checkpoint so often
 * open READER           starts a reader, which tells every event: event READER WRITER KEY SEQUENCE
 * close READER          closes it
 * abandon READER        stops it without closing it
 * offline READER        declares a reader offline, whoever's it is, at a position that is not known
 * readers               -> their ids
 * shares                -> how many segments each has
 * unread                -> bytes
 * checkpoint NAME       -> the cut of the stream
 * reset CUT|head        starts over
 * </pre>
 */
public final class GroupPeer {
    private static final long TURN_MS = 200;

    private final String scope;
    private final String group;
    private final Stream stream;
    private final ReaderGroupManager groups;
    private final EventStreamClientFactory events;
    private final ScheduledExecutorService executor = Executors.newScheduledThreadPool(2);
    private final Map<String, ReaderThread> readers = new HashMap<>();
    private final PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    private GroupPeer(String[] args) {
        ClientConfig config = ClientConfig.builder().controllerURI(URI.create(args[0])).build();
        scope = args[1];
        group = args[2];
        stream = Stream.of(scope, args[3]);
        groups = ReaderGroupManager.withScope(scope, config);
        events = EventStreamClientFactory.withScope(scope, config);
    }

    public static void main(String[] args) throws Exception {
        GroupPeer peer = new GroupPeer(args);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            try {
                peer.say("ok " + peer.obey(line.trim().split(" +")));
            } catch (Exception | AssertionError e) {
                peer.say("failed " + String.valueOf(Expect.unwrap(e)).replace('\n', ' '));
            }
        }
        System.exit(0);
    }

    private void say(String line) {
        synchronized (out) {
            out.println(line);
            out.flush();
        }
    }

    private String obey(String[] words) throws Exception {
        switch (words[0]) {
            case "create":
                groups.createReaderGroup(group, config(Long.parseLong(words[1])).stream(stream).build());
                return "";
            case "open":
                ReaderThread reader = new ReaderThread(words[1]);
                readers.put(words[1], reader);
                reader.start();
                return "";
            case "close":
            case "abandon":
                return readers.remove(words[1]).end(words[0].equals("close"));
            default:
                try (ReaderGroup shared = groups.getReaderGroup(group)) {
                    return ask(shared, words);
                }
        }
    }

    private String ask(ReaderGroup shared, String[] words) throws Exception {
        switch (words[0]) {
            case "offline":
                shared.readerOffline(words[1], null);
                return "";
            case "readers":
                return String.join(" ", new TreeSet<>(shared.getOnlineReaders()));
            case "shares":
                return shared.getReaderSegmentDistribution().getReaderSegmentDistribution().toString();
            case "unread":
                return Long.toString(shared.getMetrics().unreadBytes());
            case "checkpoint":
                Checkpoint checkpoint = shared.initiateCheckpoint(words[1], executor).get(60, TimeUnit.SECONDS);
                return checkpoint.asImpl().getPositions().get(stream).asText();
            case "reset":
                StreamCut cut = words[1].equals("head") ? StreamCut.UNBOUNDED : StreamCut.from(words[1]);
                shared.resetReaderGroup(config(2_000).stream(stream, cut).build());
                return "";
            default:
                throw new IllegalArgumentException("no such command: " + words[0]);
        }
    }

    private static ReaderGroupConfig.ReaderGroupConfigBuilder config(long checkpointIntervalMs) {
        return ReaderGroupConfig.builder().automaticCheckpointIntervalMillis(checkpointIntervalMs).groupRefreshTimeMillis(500);
    }

    private final class ReaderThread extends Thread {
        private final String id;
        private volatile boolean ending;
        private volatile boolean closing;
        private volatile String failure = "";

        ReaderThread(String id) {
            super("reader " + id);
            this.id = id;
            setDaemon(true);
        }

        @Override
        public void run() {
            EventStreamReader<byte[]> reader = open();
            try {
                while (!ending) {
                    try {
                        EventRead<byte[]> read = reader.readNextEvent(TURN_MS);
                        if (read.getEvent() != null) {
                            tell(read.getEvent());
                        }
                    } catch (ReinitializationRequiredException e) {
                        // What a program does: a new reader under the same name.
                        reader = open();
                    }
                }
                if (closing) {
                    reader.close();
                }
            } catch (RuntimeException e) {
                failure = e.toString();
            }
        }

        private EventStreamReader<byte[]> open() {
            return events.createReader(id, group, Fixture.BYTES, ReaderConfig.builder().build());
        }

        String end(boolean close) throws InterruptedException {
            closing = close;
            ending = true;
            join(30_000);
            Expect.that(!isAlive(), "the reader has ended");
            Expect.equal(failure, "", "its failure");
            return "";
        }

        private void tell(byte[] bytes) {
            ByteBuffer event = ByteBuffer.wrap(bytes);
            say("event " + id + " " + event.getInt() + " " + event.getInt() + " " + event.getLong());
        }
    }
}
