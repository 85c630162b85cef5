import java.io.*;
import java.math.BigInteger;
import java.nio.file.*;
import java.security.*;
import java.security.cert.X509Certificate;
import java.security.spec.*;
import java.util.*;
import javax.crypto.Cipher;
import javax.crypto.spec.*;
import javax.mail.Session;
import javax.mail.internet.*;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cms.*;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x509.*;
import org.bouncycastle.cert.*;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.mail.smime.*;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.operator.*;
import org.bouncycastle.operator.jcajce.*;
import org.bouncycastle.tsp.*;
import org.bouncycastle.util.CollectionStore;
import org.bouncycastle.util.Store;
import org.bouncycastle.util.io.Streams;

/** Bouncy Castle as a peer: does the jobs on standard input, see README.md beside this file. */
public class BouncyCastle {
    static final String BC = "BC";

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader jobs = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = jobs.readLine(); line != null; line = jobs.readLine()) {
            Job job = new Job(line);
            try {
                byte[] result = run(job);
                Files.write(Paths.get(job.get("out")), result);
                System.out.println("ok");
            } catch (Throwable error) {
                StringBuilder why = new StringBuilder();
                for (Throwable cause = error; cause != null; cause = cause.getCause()) why.append(cause).append("; ");
                System.out.println("failed: " + why.toString().replaceAll("\\s+", " "));
            }
        }
    }

    static byte[] run(Job job) throws Exception {
        switch (job.verb) {
            case "sign": return sign(job);
            case "certificates": return certificates(job);
            case "verify": return verify(job);
            case "encrypt": return encrypt(job);
            case "decrypt": return decrypt(job);
            case "compress":
                return new CMSCompressedDataGenerator().generate(content(job), new ZlibCompressor()).getEncoded();
            case "expand": return new CMSCompressedData(job.bytes("in")).getContent(new ZlibExpanderProvider());
            case "mail-sign": return mailSign(job);
            case "mail-verify": return mailVerify(job);
            case "mail-encrypt": return mailEncrypt(job);
            case "mail-decrypt": return mailDecrypt(job);
            case "mail-compress":
                return mail(new SMIMECompressedGenerator().generate(part(job.bytes("in")), new ZlibCompressor()));
            default: throw new IllegalArgumentException("no verb " + job.verb);
        }
    }

    /* signatures */

    static byte[] sign(Job job) throws Exception {
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        List<X509Certificate> chain = new ArrayList<>();
        for (String[] signer : job.triples("signer")) {
            X509Certificate certificate = certificate(signer[0]);
            generator.addSignerInfoGenerator(signerInfo(job, signer));
            if (!job.has("bare")) chain.add(certificate);
        }
        generator.addCertificates(new JcaCertStore(chain));
        generator.setDefiniteLengthEncoding(!job.has("streamed"));
        String type = job.get("type", CMSObjectIdentifiers.data.getId());
        CMSTypedData content = new CMSProcessableByteArray(new ASN1ObjectIdentifier(type), job.bytes("in"));
        CMSSignedData signed = generator.generate(content, job.get("form").equals("opaque"));
        if (job.has("counter")) signed = counterSign(job, signed);
        if (job.has("timestamp")) signed = timestamp(job, signed);
        return signed.getEncoded();
    }

    static SignerInfoGenerator signerInfo(Job job, String[] signer) throws Exception {
        X509Certificate certificate = certificate(signer[0]);
        ContentSigner by = new JcaContentSignerBuilder(signer[2]).setProvider(BC).build(key(signer[1]));
        JcaSignerInfoGeneratorBuilder builder =
            new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().setProvider(BC).build());
        builder.setDirectSignature(job.has("direct"));
        if (!job.has("keyid")) return builder.build(by, certificate);
        byte[] id = SubjectKeyIdentifier.fromExtensions(new JcaX509CertificateHolder(certificate).getExtensions()).getKeyIdentifier();
        return builder.build(by, id);
    }

    static CMSSignedData counterSign(Job job, CMSSignedData signed) throws Exception {
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        List<X509CertificateHolder> chain = new ArrayList<>(signed.getCertificates().getMatches(null));
        for (String[] signer : job.triples("counter")) {
            generator.addSignerInfoGenerator(signerInfo(job, signer));
            chain.add(new JcaX509CertificateHolder(certificate(signer[0])));
        }
        List<SignerInformation> signers = new ArrayList<>();
        for (SignerInformation signer : signed.getSignerInfos().getSigners()) {
            signers.add(SignerInformation.addCounterSigners(signer, generator.generateCounterSigners(signer)));
        }
        CMSSignedData more = CMSSignedData.replaceSigners(signed, new SignerInformationStore(signers));
        return CMSSignedData.replaceCertificatesAndCRLs(more, new CollectionStore<>(chain), null, null);
    }

    /** A timestamp over each signature, by an authority that the given issuer certifies here. */
    static CMSSignedData timestamp(Job job, CMSSignedData signed) throws Exception {
        String[] issuer = job.triples("timestamp").get(0);
        KeyPairGenerator keys = KeyPairGenerator.getInstance("RSA", BC);
        keys.initialize(2048);
        KeyPair pair = keys.generateKeyPair();
        X509Certificate authority = certificate(issuer[0]);
        Date from = new Date(1_600_000_000_000L), to = new Date(2_400_000_000_000L);
        X509v3CertificateBuilder builder = new JcaX509v3CertificateBuilder(
            authority, BigInteger.valueOf(99), from, to, new javax.security.auth.x500.X500Principal("CN=time"), pair.getPublic());
        builder.addExtension(Extension.extendedKeyUsage, true, new ExtendedKeyUsage(KeyPurposeId.id_kp_timeStamping));
        ContentSigner by = new JcaContentSignerBuilder("SHA256withRSA").setProvider(BC).build(key(issuer[1]));
        X509Certificate own = new JcaX509CertificateConverter().getCertificate(builder.build(by));
        DigestCalculatorProvider digests = new JcaDigestCalculatorProviderBuilder().setProvider(BC).build();
        SignerInfoGenerator signer = new JcaSimpleSignerInfoGeneratorBuilder().setProvider(BC).build("SHA256withRSA", pair.getPrivate(), own);
        DigestCalculator sha256 = digests.get(new AlgorithmIdentifier(org.bouncycastle.asn1.nist.NISTObjectIdentifiers.id_sha256));
        TimeStampTokenGenerator tokens = new TimeStampTokenGenerator(signer, sha256, new ASN1ObjectIdentifier("1.2.3.4"));
        tokens.addCertificates(new JcaCertStore(Arrays.asList(own, authority)));
        TimeStampRequestGenerator requests = new TimeStampRequestGenerator();
        requests.setCertReq(true);
        List<SignerInformation> signers = new ArrayList<>();
        for (SignerInformation one : signed.getSignerInfos().getSigners()) {
            byte[] imprint = MessageDigest.getInstance("SHA-256").digest(one.getSignature());
            TimeStampRequest request = requests.generate(TSPAlgorithms.SHA256, imprint);
            TimeStampToken token = tokens.generate(request, BigInteger.ONE, new Date(1_700_000_000_000L));
            org.bouncycastle.asn1.cms.Attribute attribute = new org.bouncycastle.asn1.cms.Attribute(
                PKCSObjectIdentifiers.id_aa_signatureTimeStampToken, new DERSet(token.toCMSSignedData().toASN1Structure()));
            signers.add(SignerInformation.replaceUnsignedAttributes(one, new AttributeTable(attribute)));
        }
        return CMSSignedData.replaceSigners(signed, new SignerInformationStore(signers));
    }

    static byte[] certificates(Job job) throws Exception {
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        for (String file : job.all("certificate")) generator.addCertificate(new JcaX509CertificateHolder(certificate(file)));
        return generator.generate(new CMSAbsentContent()).getEncoded();
    }

    static byte[] verify(Job job) throws Exception {
        CMSSignedData signed = job.has("content")
            ? new CMSSignedData(new CMSProcessableByteArray(job.bytes("content")), job.bytes("in"))
            : new CMSSignedData(job.bytes("in"));
        check(job, signed.getCertificates(), signed.getSignerInfos().getSigners());
        if (signed.getSignedContent() == null) {
            // a bundle: its certificates are what it says
            ByteArrayOutputStream all = new ByteArrayOutputStream();
            for (X509CertificateHolder holder : signed.getCertificates().getMatches(null)) all.write(holder.getEncoded());
            return all.toByteArray();
        }
        return (byte[]) signed.getSignedContent().getContent();
    }

    /** Every signature and countersignature fits, by a certificate of the issuer; there are as many as the job says. */
    @SuppressWarnings("unchecked")
    static void check(Job job, Store<X509CertificateHolder> known, Collection<SignerInformation> signers) throws Exception {
        int wanted = Integer.parseInt(job.get("signers", "1"));
        if (signers.size() != wanted) throw new SecurityException(signers.size() + " signers, not " + wanted);
        for (SignerInformation signer : signers) {
            Collection<X509CertificateHolder> found = known.getMatches(signer.getSID());
            if (found.isEmpty()) throw new SecurityException("no certificate of a signer");
            X509CertificateHolder holder = found.iterator().next();
            if (job.has("issuer")) {
                PublicKey issuer = certificate(job.get("issuer")).getPublicKey();
                if (!holder.isSignatureValid(new JcaContentVerifierProviderBuilder().setProvider(BC).build(issuer))) {
                    throw new SecurityException("a signer's certificate is not by the issuer");
                }
            }
            SignerInformationVerifier by = new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(holder);
            if (!signer.verify(by)) throw new SecurityException("a signature does not fit");
            for (SignerInformation counter : signer.getCounterSignatures().getSigners()) {
                X509CertificateHolder other = (X509CertificateHolder) known.getMatches(counter.getSID()).iterator().next();
                if (!counter.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(other))) {
                    throw new SecurityException("a countersignature does not fit");
                }
            }
        }
    }

    /* encryption */

    static byte[] encrypt(Job job) throws Exception {
        OutputEncryptor cipher = cipher(job);
        if (cipher instanceof OutputAEADEncryptor) {
            CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
            for (RecipientInfoGenerator one : recipients(job)) generator.addRecipientInfoGenerator(one);
            if (job.has("attributes")) {
                org.bouncycastle.asn1.cms.Attribute type = new org.bouncycastle.asn1.cms.Attribute(
                    CMSAttributes.contentType, new DERSet(CMSObjectIdentifiers.data));
                generator.setAuthenticatedAttributeGenerator(new SimpleAttributeTableGenerator(new AttributeTable(type)));
            }
            return generator.generate(content(job), (OutputAEADEncryptor) cipher).getEncoded();
        }
        if (job.has("streamed")) {
            CMSEnvelopedDataStreamGenerator generator = new CMSEnvelopedDataStreamGenerator();
            for (RecipientInfoGenerator one : recipients(job)) generator.addRecipientInfoGenerator(one);
            generator.setBufferSize(1000);
            ByteArrayOutputStream message = new ByteArrayOutputStream();
            try (OutputStream sink = generator.open(message, cipher)) {
                sink.write(job.bytes("in"));
            }
            return message.toByteArray();
        }
        CMSEnvelopedDataGenerator generator = new CMSEnvelopedDataGenerator();
        for (RecipientInfoGenerator one : recipients(job)) generator.addRecipientInfoGenerator(one);
        return generator.generate(content(job), cipher).getEncoded();
    }

    static OutputEncryptor cipher(Job job) throws Exception {
        Map<String, ASN1ObjectIdentifier> names = new HashMap<>();
        for (String name : "AES128_CBC AES192_CBC AES256_CBC AES128_GCM AES192_GCM AES256_GCM AES128_CCM AES192_CCM AES256_CCM DES_EDE3_CBC DES_CBC RC2_CBC".split(" ")) {
            names.put(name, (ASN1ObjectIdentifier) CMSAlgorithm.class.getField(name).get(null));
        }
        names.put("CHACHA20_POLY1305", PKCSObjectIdentifiers.id_alg_AEADChaCha20Poly1305);
        return new JceCMSContentEncryptorBuilder(names.get(job.get("cipher"))).setProvider(BC).build();
    }

    static List<RecipientInfoGenerator> recipients(Job job) throws Exception {
        List<RecipientInfoGenerator> all = new ArrayList<>();
        for (String[] to : job.triples("recipient")) all.add(recipient(job, certificate(to[0]), to));
        if (job.has("password")) {
            JcePasswordRecipientInfoGenerator one =
                new JcePasswordRecipientInfoGenerator(CMSAlgorithm.AES256_CBC, job.get("password").toCharArray());
            one.setProvider(BC).setPasswordConversionScheme(PasswordRecipient.PKCS5_SCHEME2_UTF8);
            one.setPRF((PasswordRecipient.PRF) PasswordRecipient.PRF.class.getField(job.get("prf")).get(null));
            one.setSaltAndIterationCount("salt of sixteen!".getBytes(), 2048);
            all.add(one);
        }
        if (job.has("kek")) {
            all.add(new JceKEKRecipientInfoGenerator(new byte[] {1, 2}, new SecretKeySpec(job.hex("kek"), "AES")).setProvider(BC));
        }
        return all;
    }

    /** How: `pkcs1`, `oaep HASH MGF-HASH [LABEL]`, or `AGREEMENT WRAP` as CMSAlgorithm names them. */
    static RecipientInfoGenerator recipient(Job job, X509Certificate certificate, String[] to) throws Exception {
        String[] how = to[2].split(" ");
        byte[] id = SubjectKeyIdentifier.fromExtensions(new JcaX509CertificateHolder(certificate).getExtensions()).getKeyIdentifier();
        if (how[0].equals("pkcs1")) {
            JceKeyTransRecipientInfoGenerator one = job.has("keyid")
                ? new JceKeyTransRecipientInfoGenerator(id, certificate.getPublicKey())
                : new JceKeyTransRecipientInfoGenerator(certificate);
            return one.setProvider(BC);
        }
        if (how[0].equals("oaep")) {
            PSource label = how.length < 4 ? PSource.PSpecified.DEFAULT : new PSource.PSpecified(how[3].getBytes());
            OAEPParameterSpec parameters = new OAEPParameterSpec(how[1], "MGF1", new MGF1ParameterSpec(how[2]), label);
            AlgorithmIdentifier algorithm =
                new JcaAlgorithmParametersConverter().getAlgorithmIdentifier(PKCSObjectIdentifiers.id_RSAES_OAEP, parameters);
            return new JceKeyTransRecipientInfoGenerator(certificate, algorithm).setProvider(BC);
        }
        KeyPair pair = sender(certificate.getPublicKey());
        ASN1ObjectIdentifier agreement = how[0].startsWith("1.")
            ? new ASN1ObjectIdentifier(how[0]) : (ASN1ObjectIdentifier) CMSAlgorithm.class.getField(how[0]).get(null);
        ASN1ObjectIdentifier wrap = (ASN1ObjectIdentifier) CMSAlgorithm.class.getField(how[1]).get(null);
        JceKeyAgreeRecipientInfoGenerator one =
            new JceKeyAgreeRecipientInfoGenerator(agreement, pair.getPrivate(), pair.getPublic(), wrap).setProvider(BC);
        if (job.has("ukm")) one.setUserKeyingMaterial(job.hex("ukm"));
        return job.has("keyid") ? one.addRecipient(id, certificate.getPublicKey()) : one.addRecipient(certificate);
    }

    /** A key pair on the curve of the recipient. */
    static KeyPair sender(PublicKey recipient) throws Exception {
        if (recipient instanceof java.security.interfaces.ECPublicKey) {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", BC);
            generator.initialize(((java.security.interfaces.ECPublicKey) recipient).getParams());
            return generator.generateKeyPair();
        }
        return KeyPairGenerator.getInstance(recipient.getAlgorithm(), BC).generateKeyPair();
    }

    static byte[] decrypt(Job job) throws Exception {
        byte[] message = job.bytes("in");
        ContentInfo info = ContentInfo.getInstance(message);
        if (info.getContentType().equals(CMSObjectIdentifiers.authEnvelopedData)) {
            CMSAuthEnvelopedData data = new CMSAuthEnvelopedData(message);
            return open(job, data.getRecipientInfos(), Opening.AUTHENTICATED);
        }
        return open(job, new CMSEnvelopedData(message).getRecipientInfos(), Opening.PLAIN);
    }

    enum Opening { PLAIN, AUTHENTICATED }

    static byte[] open(Job job, RecipientInformationStore store, Opening how) throws Exception {
        boolean tagged = how == Opening.AUTHENTICATED;
        if (job.has("password")) {
            char[] password = job.get("password").toCharArray();
            JcePasswordRecipient recipient = tagged ? new TaggedPassword(password) : new JcePasswordEnvelopedRecipient(password);
            recipient.setProvider(BC).setPasswordConversionScheme(PasswordRecipient.PKCS5_SCHEME2_UTF8);
            return only(store, PasswordRecipientInformation.class).getContent(recipient);
        }
        if (job.has("kek")) {
            SecretKeySpec kek = new SecretKeySpec(job.hex("kek"), "AES");
            JceKEKRecipient recipient = tagged ? new TaggedKek(kek) : new JceKEKEnvelopedRecipient(kek);
            return only(store, KEKRecipientInformation.class).getContent(recipient.setProvider(BC));
        }
        String[] reader = job.triples("reader").get(0);
        X509Certificate certificate = certificate(reader[0]);
        PrivateKey key = key(reader[1]);
        if (key.getAlgorithm().equals("RSA")) {
            RecipientInformation one = store.get(new JceKeyTransRecipientId(certificate));
            if (one == null) throw new SecurityException("no recipient of this certificate");
            JceKeyTransRecipient recipient =
                tagged ? new JceKeyTransAuthEnvelopedRecipient(key) : new JceKeyTransEnvelopedRecipient(key);
            return one.getContent(recipient.setProvider(BC));
        }
        RecipientInformation one = store.get(new JceKeyAgreeRecipientId(certificate));
        if (one == null) throw new SecurityException("no recipient of this certificate");
        JceKeyAgreeRecipient recipient = tagged ? new TaggedAgreement(key) : new JceKeyAgreeEnvelopedRecipient(key);
        return one.getContent(recipient.setProvider(BC));
    }

    static RecipientInformation only(RecipientInformationStore store, Class<?> kind) {
        for (RecipientInformation one : store.getRecipients()) if (kind.isInstance(one)) return one;
        throw new SecurityException("no recipient of this kind");
    }

    /* This version opens AuthEnvelopedData for RSA alone; the other kinds of recipient recover the key, and the cipher is the same. */

    static class TaggedAgreement extends JceKeyAgreeRecipient {
        TaggedAgreement(PrivateKey key) { super(key); }

        public RecipientOperator getRecipientOperator(
            AlgorithmIdentifier how, AlgorithmIdentifier cipher, SubjectPublicKeyInfo sender, ASN1OctetString ukm, byte[] wrapped)
            throws CMSException {
            return tagged(cipher, extractSecretKey(how, cipher, sender, ukm, wrapped));
        }
    }

    static class TaggedKek extends JceKEKRecipient {
        TaggedKek(SecretKeySpec kek) { super(kek); }

        public RecipientOperator getRecipientOperator(AlgorithmIdentifier how, AlgorithmIdentifier cipher, byte[] wrapped)
            throws CMSException {
            return tagged(cipher, extractSecretKey(how, cipher, wrapped));
        }
    }

    static class TaggedPassword extends JcePasswordEnvelopedRecipient {
        TaggedPassword(char[] password) { super(password); }

        public RecipientOperator getRecipientOperator(
            AlgorithmIdentifier how, AlgorithmIdentifier cipher, byte[] derived, byte[] wrapped) throws CMSException {
            return tagged(cipher, extractSecretKey(how, cipher, derived, wrapped));
        }
    }

    static RecipientOperator tagged(AlgorithmIdentifier algorithm, Key key) throws CMSException {
        try {
            Cipher cipher = Cipher.getInstance(algorithm.getAlgorithm().getId(), BC);
            AlgorithmParameters parameters = AlgorithmParameters.getInstance(algorithm.getAlgorithm().getId(), BC);
            parameters.init(algorithm.getParameters().toASN1Primitive().getEncoded());
            cipher.init(Cipher.DECRYPT_MODE, new SecretKeySpec(key.getEncoded(), "AES"), parameters);
            return new RecipientOperator(new InputAEADDecryptor() {
                public AlgorithmIdentifier getAlgorithmIdentifier() { return algorithm; }

                public InputStream getInputStream(InputStream source) {
                    try {
                        return new ByteArrayInputStream(cipher.doFinal(Streams.readAll(source)));
                    } catch (Exception error) {
                        throw new SecurityException(error);
                    }
                }

                public OutputStream getAADStream() {
                    return new OutputStream() {
                        public void write(int one) { cipher.updateAAD(new byte[] {(byte) one}); }
                    };
                }

                public byte[] getMAC() { return new byte[0]; }
            });
        } catch (Exception error) {
            throw new CMSException("no cipher", error);
        }
    }

    /* mail */

    static byte[] mailSign(Job job) throws Exception {
        SMIMESignedGenerator generator = new SMIMESignedGenerator();
        List<X509Certificate> chain = new ArrayList<>();
        for (String[] signer : job.triples("signer")) {
            generator.addSignerInfoGenerator(signerInfo(job, signer));
            chain.add(certificate(signer[0]));
        }
        generator.addCertificates(new JcaCertStore(chain));
        MimeBodyPart body = part(job.bytes("in"));
        if (job.get("form").equals("opaque")) return mail(generator.generateEncapsulated(body));
        MimeMessage message = new MimeMessage((Session) null);
        message.setContent(generator.generate(body));
        return finished(message);
    }

    static byte[] mailVerify(Job job) throws Exception {
        MimeMessage message = new MimeMessage(null, new ByteArrayInputStream(job.bytes("in")));
        SMIMESigned signed = message.isMimeType("multipart/signed")
            ? new SMIMESigned((MimeMultipart) message.getContent()) : new SMIMESigned(message);
        check(job, signed.getCertificates(), signed.getSignerInfos().getSigners());
        return written(signed.getContent());
    }

    static byte[] mailEncrypt(Job job) throws Exception {
        SMIMEEnvelopedGenerator generator = new SMIMEEnvelopedGenerator();
        for (RecipientInfoGenerator one : recipients(job)) generator.addRecipientInfoGenerator(one);
        return mail(generator.generate(part(job.bytes("in")), cipher(job)));
    }

    static byte[] mailDecrypt(Job job) throws Exception {
        MimeMessage message = new MimeMessage(null, new ByteArrayInputStream(job.bytes("in")));
        SMIMEEnveloped data = new SMIMEEnveloped(message);
        return open(job, data.getRecipientInfos(), Opening.PLAIN);
    }

    static MimeBodyPart part(byte[] bytes) throws Exception { return new MimeBodyPart(new ByteArrayInputStream(bytes)); }

    static byte[] mail(MimeBodyPart part) throws Exception {
        MimeMessage message = new MimeMessage((Session) null);
        message.setContent(part.getContent(), part.getContentType());
        Enumeration<String> lines = part.getAllHeaderLines();
        while (lines.hasMoreElements()) message.addHeaderLine(lines.nextElement());
        return finished(message);
    }

    static byte[] finished(MimeMessage message) throws Exception {
        message.setHeader("From", "alice@a.example");
        message.setHeader("To", "bob@a.example");
        message.setSubject("by Bouncy Castle");
        message.saveChanges();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        message.writeTo(out);
        return out.toByteArray();
    }

    static byte[] written(MimeBodyPart part) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        part.writeTo(out);
        return out.toByteArray();
    }

    /* files */

    static CMSTypedData content(Job job) throws Exception { return new CMSProcessableByteArray(job.bytes("in")); }

    static X509Certificate certificate(String file) throws Exception {
        try (PEMParser parser = new PEMParser(new FileReader(file))) {
            return new JcaX509CertificateConverter().setProvider(BC).getCertificate((X509CertificateHolder) parser.readObject());
        }
    }

    static PrivateKey key(String file) throws Exception {
        try (PEMParser parser = new PEMParser(new FileReader(file))) {
            return new JcaPEMKeyConverter().setProvider(BC).getPrivateKey((PrivateKeyInfo) parser.readObject());
        }
    }

    /** A verb and its fields. */
    static class Job {
        final String verb;
        private final Map<String, List<String>> fields = new HashMap<>();

        Job(String line) {
            String[] words = line.split("\t");
            verb = words[0];
            for (int at = 1; at < words.length; at++) {
                String[] pair = words[at].split("=", 2);
                fields.computeIfAbsent(pair[0], name -> new ArrayList<>()).add(pair[1]);
            }
        }

        boolean has(String name) { return fields.containsKey(name); }

        List<String> all(String name) { return fields.getOrDefault(name, Collections.emptyList()); }

        String get(String name) {
            if (!has(name)) throw new IllegalArgumentException("no field " + name);
            return fields.get(name).get(0);
        }

        String get(String name, String otherwise) { return has(name) ? get(name) : otherwise; }

        byte[] bytes(String name) throws Exception { return Files.readAllBytes(Paths.get(get(name))); }

        byte[] hex(String name) { return org.bouncycastle.util.encoders.Hex.decode(get(name)); }

        /** Values of three parts, divided by `|`: certificate, key, algorithm. */
        List<String[]> triples(String name) {
            List<String[]> found = new ArrayList<>();
            for (String value : all(name)) found.add(value.split("\\|", 3));
            return found;
        }
    }
}
