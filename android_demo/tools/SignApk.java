import com.android.apksig.ApkSigner;
import com.android.apksig.ApkVerifier;
import java.io.File;
import java.io.FileInputStream;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.util.List;

/**
 * Signs an APK with the schemes v2 and v3, keeping its alignment (recorded in the extra field 0xD935), and verifies it as a phone does (Android's apksig).
 *
 * <pre>java -cp APKSIG.jar SignApk.java KEYSTORE PASSWORD MIN_SDK UNSIGNED SIGNED</pre>
 */
public final class SignApk {
    private static final String ALIAS = "demo";

    private SignApk() {}

    public static void main(String[] arguments) throws Exception {
        char[] password = arguments[1].toCharArray();
        int minSdk = Integer.parseInt(arguments[2]);
        File signed = new File(arguments[4]);
        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (FileInputStream file = new FileInputStream(arguments[0])) {
            keys.load(file, password);
        }
        ApkSigner.SignerConfig signer = new ApkSigner.SignerConfig.Builder(
                ALIAS, (PrivateKey) keys.getKey(ALIAS, password), List.of((X509Certificate) keys.getCertificate(ALIAS)))
            .build();
        new ApkSigner.Builder(List.of(signer))
            .setInputApk(new File(arguments[3]))
            .setOutputApk(signed)
            .setMinSdkVersion(minSdk)
            .setV1SigningEnabled(false) // for phones before Android 7 only
            .setV2SigningEnabled(true)
            .setV3SigningEnabled(true)
            .build()
            .sign();
        ApkVerifier.Result result = new ApkVerifier.Builder(signed).setMinCheckedPlatformVersion(minSdk).build().verify();
        for (ApkVerifier.IssueWithParams issue : result.getErrors()) {
            System.err.println("error: " + issue);
        }
        System.out.println("verified=" + result.isVerified() + " v2=" + result.isVerifiedUsingV2Scheme()
            + " v3=" + result.isVerifiedUsingV3Scheme());
        System.exit(result.isVerified() ? 0 : 1);
    }
}
