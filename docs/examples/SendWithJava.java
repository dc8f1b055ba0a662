import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;

/** Sends an SMS: java -cp '/usr/share/java/*' SendWithJava.java order-7 '{"to":"+15550100001","text":"Hello"}' */
public class SendWithJava {
  public static void main(String[] args) throws Exception {
    String smsId = args[0];
    byte[] body = args[1].getBytes(StandardCharsets.UTF_8);
    Map<String, String> environment = System.getenv();
    ConnectionFactory factory = new ConnectionFactory();
    factory.setUri(environment.getOrDefault("RABBITMQ_URL", "amqp://guest:guest@localhost:5672"));
    try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
      AtomicReference<String> returned = new AtomicReference<>();
      channel.addReturnListener((code, text, exchange, key, properties, content) -> returned.set(text));
      channel.confirmSelect();
      AMQP.BasicProperties properties =
          new AMQP.BasicProperties.Builder()
              .messageId(smsId)
              .contentType("application/json")
              .deliveryMode(2)
              .headers(Map.of("run", "orders"))
              .build();
      boolean mandatory = true;
      channel.basicPublish(
          environment.getOrDefault("QUEUE_NAME", "sms"), "work", mandatory, properties, body);
      // A message is returned before it is confirmed.
      channel.waitForConfirmsOrDie(30_000);
      if (returned.get() != null) throw new IllegalStateException("returned: " + returned.get());
    }
    System.out.println(smsId + " is accepted");
  }
}
