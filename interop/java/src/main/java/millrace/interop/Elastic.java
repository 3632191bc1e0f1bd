package millrace.interop;

import io.pravega.client.stream.EventRead;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.Stream;
import java.net.URI;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.Future;
import java.util.concurrent.Phaser;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/**
 * {@code Elastic URI SECONDS}: eight writers and a group of four readers on a stream that stays as it is, and then on one that is
 * scaled every second. Every event must come once, and in order for its key. Prints how long acknowledgements took in both and how
 * long the readers had to do after the writers were done. From a minute on the bars hold: the slowest of a thousand acknowledgements
 * waits at most 200 ms longer where the stream scales.
 */
public final class Elastic {
    private static final int WRITERS = 8;
    private static final int READERS = 4;
    private static final int KEYS = 8;
    private static final int SEGMENTS_MIN = 4;
    private static final int SEGMENTS_MAX = 16;
    private static final int EVENTS_PER_TICK = 4;
    private static final int EVENT_BYTES = 200;
    private static final long TICK_MS = 10;
    private static final long SCALE_EVERY_MS = 1_000;
    private static final long DRAIN_SECONDS_MAX = 300;
    private static final double STALL_MS_MAX = 200;
    private static final long BARS_FROM_SECONDS = 60;

    private final Fixture fixture;
    private final long seconds;

    private Elastic(Fixture fixture, long seconds) {
        this.fixture = fixture;
        this.seconds = seconds;
    }

    public static void main(String[] args) throws Exception {
        long seconds = Long.parseLong(args[1]);
        try (Fixture fixture = new Fixture(URI.create(args[0]), "elastic")) {
            Elastic elastic = new Elastic(fixture, seconds);
            double calm = elastic.run("calm", false);
            double scaled = elastic.run("scaled", true);
            System.out.printf(Locale.ROOT, "the slowest in a thousand wait %.0f ms longer with scales%n", scaled - calm);
            if (seconds >= BARS_FROM_SECONDS) {
                Expect.that(scaled - calm <= STALL_MS_MAX, "that is at most " + STALL_MS_MAX + " ms");
            }
        } catch (Throwable failure) {
            System.out.println("failed: " + failure);
            System.exit(1);
        }
        System.exit(0);
    }

    /** Answers how long the slowest of a thousand events waited, in ms. */
    private double run(String name, boolean scales) throws Exception {
        Stream stream = fixture.stream(name, SEGMENTS_MIN);
        fixture.group(name, ReaderGroupConfig.builder().stream(stream).automaticCheckpointIntervalMillis(1_000)
                .groupRefreshTimeMillis(500).build());
        long ticks = seconds * 1_000 / TICK_MS;
        long count = WRITERS * ticks * EVENTS_PER_TICK;
        Numbered.Ledger ledger = new Numbered.Ledger(count);
        AtomicBoolean written = new AtomicBoolean();
        AtomicLong drainEnd = new AtomicLong(Long.MAX_VALUE);
        Future<Void> reading = fixture.start(() -> {
            fixture.together(READERS, number -> read(name, number, ledger, drainEnd));
            return null;
        });
        Future<Integer> scaling = fixture.start(() -> scales ? scale(stream, written) : 0);
        long[][] waits = new long[WRITERS][];
        fixture.together(WRITERS, number -> waits[number] = write(name, number, ticks));
        written.set(true);
        long end = System.nanoTime();
        drainEnd.set(end + TimeUnit.SECONDS.toNanos(DRAIN_SECONDS_MAX));
        int scaled = Fixture.join(scaling);
        Fixture.join(reading);
        double drainSeconds = (System.nanoTime() - end) / 1e9;
        ledger.checkComplete();
        long[] sorted = Arrays.stream(waits).flatMapToLong(Arrays::stream).sorted().toArray();
        System.out.printf(Locale.ROOT, "%s: %d events, %d scales; acknowledged in p50 %.1f, p99 %.1f, p99.9 %.1f, max %.1f ms; "
                + "drained in %.1f s%n", name, count, scaled, at(sorted, 0.5), at(sorted, 0.99), at(sorted, 0.999),
                sorted[sorted.length - 1] / 1e6, drainSeconds);
        if (scales) {
            Expect.that(scaled >= seconds / 2, "there was a scale most seconds, not " + scaled);
        }
        return at(sorted, 0.999);
    }

    private static double at(long[] sorted, double quantile) {
        return sorted[(int) Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] / 1e6;
    }

    /** Answers how long each event waited from when it was due, in ns, so that none is left out because another one had to wait. */
    private long[] write(String stream, int writer, long ticks) throws Exception {
        EventStreamWriter<byte[]> stub = fixture.writer(stream);
        long[] waits = new long[(int) ticks * EVENTS_PER_TICK];
        Phaser underWay = new Phaser(1);
        long start = System.nanoTime();
        for (int i = 0; i < waits.length; i++) {
            long due = start + TimeUnit.MILLISECONDS.toNanos(i / EVENTS_PER_TICK * TICK_MS);
            long ahead = due - System.nanoTime();
            if (ahead > 0) {
                TimeUnit.NANOSECONDS.sleep(ahead);
            }
            int number = i;
            int key = i % KEYS;
            underWay.register();
            stub.writeEvent(Numbered.keyName(writer * KEYS + key), Numbered.event(writer, key, i / KEYS, EVENT_BYTES))
                    .whenComplete((nothing, failure) -> {
                        waits[number] = failure == null ? System.nanoTime() - due : Long.MAX_VALUE;
                        underWay.arriveAndDeregister();
                    });
        }
        stub.flush();
        underWay.awaitAdvanceInterruptibly(underWay.arrive(), 60, TimeUnit.SECONDS);
        for (long wait : waits) {
            Expect.that(wait != Long.MAX_VALUE, "no event of writer " + writer + " is given up");
        }
        return waits;
    }

    private void read(String group, int number, Numbered.Ledger ledger, AtomicLong end) {
        EventStreamReader<byte[]> reader = fixture.reader("reader-" + number, group);
        while (!ledger.isComplete()) {
            Expect.that(System.nanoTime() < end.get(), "all is read " + DRAIN_SECONDS_MAX + " s after it was written");
            EventRead<byte[]> read = reader.readNextEvent(200);
            if (read.getEvent() != null) {
                ledger.accept(read.getEvent());
            }
        }
    }

    /** Answers how many there were. */
    private int scale(Stream stream, AtomicBoolean written) throws Exception {
        Random random = new Random(7);
        int count = 0;
        long due = System.nanoTime();
        while (!written.get()) {
            due += TimeUnit.MILLISECONDS.toNanos(SCALE_EVERY_MS);
            TimeUnit.NANOSECONDS.sleep(due - System.nanoTime());
            Scaling.Plan plan = Scaling.random(fixture.controller(), stream, random, SEGMENTS_MIN, SEGMENTS_MAX);
            Expect.that(Scaling.quickly(fixture.controller(), stream, plan.epoch, plan.seal, plan.into), "scale " + count + " is done");
            count++;
        }
        return count;
    }
}
