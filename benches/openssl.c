/* Messages through libcrypto's CMS functions in one process: CPU microseconds each, from bytes to bytes.
 *   openssl OP SECONDS ROOT CHAIN CERT KEY MESSAGE      OP: sign, encrypt, verify, decrypt
 * CHAIN goes into signatures; a verification builds the chain to ROOT, as ours does. */
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char *bytes;
static long count;
static X509 *cert;
static EVP_PKEY *key;
static X509_STORE *store;
static STACK_OF(X509) *chain, *recipients;

static void die(const char *what) {
    fprintf(stderr, "%s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static X509 *certificate(const char *path) {
    FILE *file = fopen(path, "r");
    X509 *found = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    if (!found) die(path);
    fclose(file);
    return found;
}

static void sign(BIO *in, BIO *out) {
    CMS_ContentInfo *cms = CMS_sign(cert, key, chain, in, CMS_DETACHED | CMS_STREAM | CMS_BINARY);
    if (!cms || !SMIME_write_CMS(out, cms, in, CMS_DETACHED | CMS_STREAM | CMS_BINARY)) die("sign");
    CMS_ContentInfo_free(cms);
}

static void encrypt(BIO *in, BIO *out) {
    CMS_ContentInfo *cms = CMS_encrypt(recipients, in, EVP_aes_256_cbc(), CMS_STREAM | CMS_BINARY);
    if (!cms || !SMIME_write_CMS(out, cms, in, CMS_STREAM | CMS_BINARY)) die("encrypt");
    CMS_ContentInfo_free(cms);
}

static void verify(BIO *in, BIO *out) {
    BIO *content = NULL;
    CMS_ContentInfo *cms = SMIME_read_CMS(in, &content);
    if (!cms || CMS_verify(cms, NULL, store, content, out, CMS_BINARY) != 1) die("verify");
    CMS_ContentInfo_free(cms);
    BIO_free(content);
}

static void decrypt(BIO *in, BIO *out) {
    CMS_ContentInfo *cms = SMIME_read_CMS(in, NULL);
    if (!cms || CMS_decrypt(cms, key, cert, NULL, out, CMS_BINARY) != 1) die("decrypt");
    CMS_ContentInfo_free(cms);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 8) return 2;
    void (*work)(BIO *, BIO *) = NULL;
    if (!strcmp(argv[1], "sign")) work = sign;
    if (!strcmp(argv[1], "encrypt")) work = encrypt;
    if (!strcmp(argv[1], "verify")) work = verify;
    if (!strcmp(argv[1], "decrypt")) work = decrypt;
    if (!work) return 2;
    double seconds = atof(argv[2]);
    store = X509_STORE_new();
    X509_STORE_add_cert(store, certificate(argv[3]));
    X509_VERIFY_PARAM_set_purpose(X509_STORE_get0_param(store), X509_PURPOSE_SMIME_SIGN);
    /* sample certificates do not rot: judged within their validity */
    X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), 1780272000);
    chain = sk_X509_new_null();
    sk_X509_push(chain, certificate(argv[4]));
    cert = certificate(argv[5]);
    recipients = sk_X509_new_null();
    sk_X509_push(recipients, cert);
    FILE *file = fopen(argv[6], "r");
    key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (!key) die(argv[6]);
    fclose(file);
    file = fopen(argv[7], "rb");
    if (!file) die(argv[7]);
    fseek(file, 0, SEEK_END);
    count = ftell(file);
    rewind(file);
    bytes = malloc(count);
    if (fread(bytes, 1, count, file) != (size_t)count) die(argv[7]);
    long messages = 0;
    double start = now();
    do {
        BIO *in = BIO_new_mem_buf(bytes, count), *out = BIO_new(BIO_s_mem());
        work(in, out);
        BIO_free(in);
        BIO_free(out);
        messages++;
    } while (now() - start < seconds);
    printf("%f\n", (now() - start) * 1e6 / messages);
    return 0;
}
