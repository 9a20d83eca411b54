import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.joda.time.DateTime;
import org.joda.time.DateTimeZone;
import org.joda.time.format.DateTimeFormat;
import org.joda.time.format.ISODateTimeFormat;

/** Reads one question a line, fields apart by tabs, and writes what Joda-Time answers; see record.py. */
public class Recorder {
  public static void main(String[] arguments) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(System.out, true, "UTF-8");
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      try {
        out.println(answer(line.split("\t", -1)));
      } catch (IllegalArgumentException refused) {
        out.println("error");
      }
    }
  }

  private static String answer(String[] question) {
    switch (question[0]) {
      case "print":
        // The locale as the Confluent connectors make it: the whole text is the language.
        return DateTimeFormat.forPattern(question[1]).withZone(DateTimeZone.forID(question[2]))
            .withLocale(new Locale(question[3])).print(Long.parseLong(question[4]));
      case "bucket": {
        DateTimeZone zone = DateTimeZone.forID(question[2]);
        long span = Long.parseLong(question[1]);
        return Long.toString(
            zone.convertLocalToUTC(zone.convertUTCToLocal(Long.parseLong(question[3])) / span * span, false));
      }
      case "parse":
        return Long.toString(
            ISODateTimeFormat.dateTimeParser().withZone(DateTimeZone.UTC).parseMillis(question[1]));
      case "midnight": {
        DateTime day = new DateTime(Long.parseLong(question[2]))
            .withZone(DateTimeZone.forID(question[1])).withTimeAtStartOfDay();
        return day.getMillis() + " " + day.plusDays(1).getMillis();
      }
      default:
        throw new IllegalStateException(question[0]);
    }
  }
}
