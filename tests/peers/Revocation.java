import java.io.FileInputStream;
import java.io.InputStream;
import java.net.URI;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateRevokedException;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.PKIXRevocationChecker.Option;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/** Asks an OCSP responder about certificates, as Java's validation of paths does: Revocation ROOT ISSUING URL LEAF… */
public final class Revocation {
    public static void main(String[] args) throws Exception {
        X509Certificate root = read(args[0]);
        X509Certificate issuing = read(args[1]);
        for (int at = 3; at < args.length; at++) {
            System.out.println(judge(root, issuing, URI.create(args[2]), read(args[at])));
        }
    }

    private static String judge(X509Certificate root, X509Certificate issuing, URI url, X509Certificate leaf) throws Exception {
        CertPath path = CertificateFactory.getInstance("X.509").generateCertPath(List.of(leaf, issuing));
        CertPathValidator validator = CertPathValidator.getInstance("PKIX");
        PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        checker.setOcspResponder(url);
        checker.setOptions(EnumSet.of(Option.ONLY_END_ENTITY, Option.NO_FALLBACK));
        PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
        parameters.addCertPathChecker(checker);
        try {
            validator.validate(path, parameters);
            return "good";
        } catch (CertPathValidatorException error) {
            if (error.getCause() instanceof CertificateRevokedException revoked) {
                return "revoked " + revoked.getRevocationReason() + " " + revoked.getRevocationDate().toInstant();
            }
            return "refused " + error.getReason() + " " + error.getMessage();
        }
    }

    private static X509Certificate read(String file) throws Exception {
        try (InputStream in = new FileInputStream(file)) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
    }
}
