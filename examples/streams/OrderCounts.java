import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Counts a shop's order lines by country and ten minutes, exactly once. Every line makes one new
 * count, so that of each country and window the counts are 1, 2, 3 and so on, whatever dies meanwhile.
 */
public final class OrderCounts {
    private static final String ORDERS = "orders";
    private static final String COUNTS = "counts";
    private static final int PARTITIONS = 4;
    private static final Duration WINDOW = Duration.ofMinutes(10);
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss");

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "produce" -> produce(args[1], lines(args[2]), Integer.parseInt(args[3]));
            case "run" -> run(args[1], args[2]);
            case "verify" -> verify(args[1], lines(args[2]));
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static List<String> lines(String csv) throws Exception {
        List<String> all = Files.readAllLines(Path.of(csv));
        return all.subList(1, all.size());
    }

    /** A line's last field. */
    private static String country(String line) {
        return line.substring(line.lastIndexOf(',') + 1);
    }

    /** When a line was ordered, ms. Fields before it may hold commas, those after it do not. */
    private static long time(String line) {
        String[] fields = line.split(",");
        return LocalDateTime.parse(fields[fields.length - 4], TIME).toInstant(ZoneOffset.UTC).toEpochMilli();
    }

    private static String window(String country, long ms) {
        return country + "@" + ms / WINDOW.toMillis() * WINDOW.toMillis();
    }

    /** Sends the lines, keyed by invoice, within about so many seconds. */
    private static void produce(String bootstrap, List<String> lines, int seconds) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        try (Admin admin = Admin.create(p)) {
            // The orders are of 2011: by their time they would be deleted at once.
            Map<String, String> forever = Map.of("retention.ms", "-1");
            for (String topic : List.of(ORDERS, COUNTS)) {
                try {
                    admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 3).configs(forever))).all().get();
                } catch (ExecutionException e) {
                    if (!(e.getCause() instanceof TopicExistsException)) { // made, but the broker died before it could say so
                        throw e;
                    }
                }
            }
        }
        p.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, StringSerializer.class);
        p.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, StringSerializer.class);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(p)) {
            long begin = System.nanoTime(), all = Duration.ofSeconds(seconds).toNanos();
            List<Future<?>> sent = new ArrayList<>();
            for (int i = 0; i < lines.size(); i++) {
                String line = lines.get(i);
                sent.add(producer.send(new ProducerRecord<>(ORDERS, null, time(line), line.substring(0, line.indexOf(',')), line)));
                long ahead = begin + all * i / lines.size() - System.nanoTime();
                if (ahead > 0) {
                    Thread.sleep(Duration.ofNanos(ahead).toMillis());
                }
            }
            for (Future<?> f : sent) {
                f.get();
            }
        }
    }

    /** The application. It ends with SIGTERM, or otherwise. */
    private static void run(String bootstrap, String directory) throws Exception {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(ORDERS, Consumed.with(Serdes.String(), Serdes.String()))
            .groupBy((invoice, line) -> country(line), Grouped.with(Serdes.String(), Serdes.String())) // a repartition topic
            .windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, Duration.ofDays(1)))
            .count(Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("counts-by-country")
                .withLoggingEnabled(Map.of("retention.ms", "-1")))
            .toStream((w, n) -> window(w.key(), w.window().start()))
            .to(COUNTS, Produced.with(Serdes.String(), Serdes.Long()));

        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, "order-counts");
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        p.put(StreamsConfig.STATE_DIR_CONFIG, directory);
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 3);
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0); // every count goes out
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG), 6000);
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG), 1000);
        KafkaStreams streams = new KafkaStreams(builder.build(), p);
        streams.setUncaughtExceptionHandler(e -> {
            System.err.println("a thread is replaced: " + e);
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        CountDownLatch stopped = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(20));
            stopped.countDown();
        }));
        streams.start();
        stopped.await();
    }

    /** Compares every count that was committed with those of a loop over the file. */
    private static void verify(String bootstrap, List<String> lines) {
        Map<String, Long> want = new TreeMap<>();
        for (String line : lines) {
            want.merge(window(country(line), time(line)), 1L, Long::sum);
        }
        Properties p = new Properties();
        p.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        p.put(ConsumerConfig.GROUP_ID_CONFIG, "verify");
        p.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        p.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        p.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class);
        p.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, LongDeserializer.class);
        Map<String, Long> got = new HashMap<>();
        int records = 0;
        try (KafkaConsumer<String, Long> consumer = new KafkaConsumer<>(p)) {
            consumer.subscribe(List.of(COUNTS));
            long last = System.nanoTime();
            // A while after the last count: none more may come.
            while (records < lines.size() ? System.nanoTime() - last < PATIENCE.toNanos() : System.nanoTime() - last < Duration.ofSeconds(2).toNanos()) {
                for (ConsumerRecord<String, Long> r : consumer.poll(Duration.ofMillis(200))) {
                    long before = got.getOrDefault(r.key(), 0L);
                    if (r.value() != before + 1) {
                        throw new AssertionError(r.key() + " went from " + before + " to " + r.value() + " at " + r.partition() + "/" + r.offset());
                    }
                    got.put(r.key(), r.value());
                    records++;
                    last = System.nanoTime();
                }
            }
        }
        if (!want.equals(got)) {
            for (String key : want.keySet()) {
                if (!want.get(key).equals(got.get(key))) {
                    System.err.println(key + ": " + got.get(key) + ", want " + want.get(key));
                }
            }
            throw new AssertionError(records + " of " + lines.size() + " counts");
        }
        System.out.println(records + " order lines were counted exactly once, in " + want.size() + " windows of " + WINDOW.toMinutes() + " minutes");
    }
}
